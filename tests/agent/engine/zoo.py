"""The zoo: hostile and odd servers, each with the one outcome that it must have."""

import asyncio
import gzip
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from argos.core.probe import FailureKind, Outcome, ProbeFailure, ProbeResponse
from tests.agent.engine.servers import (
    OK,
    Behaviour,
    answering,
    read_request,
    reset,
    wait_for_end,
)

Check = Callable[[Outcome], None]

SHORT = timedelta(seconds=0.5)
"""For members that use all the time there is."""

CAP = 100_000
"""Bytes of a body, for every probe of the zoo."""


@dataclass(frozen=True)
class Member:
    """A server that behaves in one way."""

    name: str
    behave: Behaviour
    expects: Check
    expects_of_httpx: Check
    scheme: str = "http"
    certificate: str | None = None
    """Which of the certificates in `tls.py` it shows; None: it speaks no TLS."""
    probe: dict[str, Any] = field(default_factory=dict)


MEMBERS: dict[str, Member] = {}


def member(
    name: str,
    behave: Behaviour,
    expects: Check,
    *,
    httpx: Check | None = None,
    **more: Any,
) -> None:
    """Put a server into the zoo."""
    assert name not in MEMBERS, name
    MEMBERS[name] = Member(name, behave, expects, httpx or expects, **more)


def answers(
    status: int = 200,
    *,
    body: bytes | None = None,
    is_cut: bool = False,
    header: tuple[str, str] | None = None,
) -> Check:
    """The probe is answered."""

    def check(outcome: Outcome) -> None:
        assert isinstance(outcome, ProbeResponse), outcome
        assert outcome.status_code == status
        assert body is None or outcome.body == body
        assert outcome.body_is_cut is is_cut
        assert len(outcome.body) <= CAP
        assert header is None or header in outcome.headers

    return check


def fails(kind: FailureKind, says: str = "") -> Check:
    """The probe fails, and the user is told this."""

    def check(outcome: Outcome) -> None:
        assert isinstance(outcome, ProbeFailure), outcome.status_code
        assert outcome.kind is kind, outcome
        assert says in outcome.message
        assert outcome.message.isprintable()
        assert outcome.message.endswith(".")

    return check


def shows_certificate(fault: str, *, code: int | None = None) -> Check:
    """The certificate is not accepted, and shown all the same."""

    def check(outcome: Outcome) -> None:
        fails(FailureKind.CERTIFICATE, fault)(outcome)
        assert outcome.certificate is not None
        assert fault in (outcome.certificate.fault or "")
        assert code is None or outcome.certificate.fault_code == code

    return check


def says_certificate(fault: str = "") -> Check:
    """All that httpx2 can tell of a certificate that is not accepted."""
    return fails(FailureKind.CERTIFICATE, fault)


TIMEOUT = FailureKind.TIMEOUT
PROTOCOL = FailureKind.PROTOCOL
TOO_LARGE = FailureKind.TOO_LARGE
TLS = FailureKind.TLS


def sending(*pieces: bytes, pause: float = 0.0, then: str = "fin") -> Behaviour:
    """Read a request, send pieces, and end with "fin", "rst" or "stall"."""

    async def behave(reader, writer):
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if then == "rst":
            reset(writer)
        if then == "stall":
            await wait_for_end(reader)

    return behave


def repeating(head: bytes, piece: bytes, times: int = 10**9) -> Behaviour:
    """Read a request, send a head, and a piece again and again."""

    async def behave(reader, writer):
        await read_request(reader)
        writer.write(head)
        for _ in range(times):
            writer.write(piece)
            await writer.drain()

    return behave


def repeating_at_once(piece: bytes) -> Behaviour:
    """Send a piece again and again, asked or not."""

    async def behave(_reader, writer):
        while True:
            writer.write(piece)
            await writer.drain()

    return behave


def greeting(banner: bytes) -> Behaviour:
    """Speak first, as no web server does."""

    async def behave(_reader, writer):
        writer.write(banner)
        await writer.drain()
        await asyncio.sleep(0.2)

    return behave


async def silent(reader, _writer):
    await wait_for_end(reader)


async def reset_at_once(_reader, writer):
    # A little later, since a reset may overtake the end of the client's connect().
    await asyncio.sleep(0.05)
    reset(writer)


async def close_at_once(_reader, writer):
    writer.close()
    await writer.wait_closed()


STATUS = b"HTTP/1.1 200 OK\r\n"


def with_headers(headers: bytes, body: bytes = b"") -> bytes:
    return STATUS + headers + b"\r\n\r\n" + body


def encoded(encoding: bytes, body: bytes) -> Behaviour:
    return answering(with_headers(b"Content-Encoding: " + encoding, body))


def redirecting(location: bytes) -> Behaviour:
    return answering(
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
        + location
        + b"\r\n\r\n"
    )


# --- timing

member(
    "silent",
    silent,
    fails(TIMEOUT, "No answer came within 0.5 s."),
    probe={"timeout": SHORT},
)
member(
    "headers byte by byte",
    sending(*[b"%c" % byte for byte in STATUS * 5], pause=0.1),
    fails(TIMEOUT),
    probe={"timeout": SHORT},
)
member(
    "body byte by byte",
    sending(with_headers(b"Content-Length: 500"), *[b"x"] * 500, pause=0.1),
    fails(TIMEOUT, "The answer did not end within 0.5 s."),
    probe={"timeout": SHORT},
)
member(
    "stall after the headers",
    sending(with_headers(b"Content-Length: 5"), then="stall"),
    fails(TIMEOUT, "The answer did not end"),
    probe={"timeout": SHORT},
)
member(
    "stall within the headers",
    sending(STATUS + b"Server: slow\r\n", then="stall"),
    fails(TIMEOUT),
    probe={"timeout": SHORT},
)
member(
    "100 Continue and nothing else",
    sending(b"HTTP/1.1 100 Continue\r\n\r\n", then="stall"),
    fails(TIMEOUT),
    probe={"timeout": SHORT},
)
member(
    "flood of interim answers",
    repeating(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n", 10_000),
    fails(TOO_LARGE, "Interim"),
    httpx=fails(PROTOCOL),
)
member(
    "a few interim answers",
    sending(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" * 3 + OK),
    answers(body=b"ok"),
)
member(
    "slow but in time",
    sending(with_headers(b"Content-Length: 3"), b"a", b"b", b"c", pause=0.1),
    answers(body=b"abc"),
)

# --- bytes

member("reset at once", reset_at_once, fails(PROTOCOL))
member("reset after the request", sending(then="rst"), fails(PROTOCOL))
member("reset in the headers", sending(STATUS, pause=0.05, then="rst"), fails(PROTOCOL))
member(
    "reset in the body",
    sending(with_headers(b"Content-Length: 9", b"abc"), pause=0.05, then="rst"),
    fails(PROTOCOL),
)
member("close at once", close_at_once, fails(PROTOCOL))
member("close after the request", sending(), fails(PROTOCOL))
member(
    "close in the headers",
    sending(STATUS),
    fails(PROTOCOL, "broke off"),
    httpx=fails(PROTOCOL),
)
member(
    "close in the body",
    sending(with_headers(b"Content-Length: 9", b"abc")),
    fails(PROTOCOL),
)
member(
    "length too small",
    answering(with_headers(b"Content-Length: 3", b"abcdef")),
    answers(body=b"abc"),
)
member(
    "length negative",
    answering(with_headers(b"Content-Length: -5", b"abc")),
    fails(PROTOCOL),
)
member(
    "length with a plus",
    answering(with_headers(b"Content-Length: +3", b"abc")),
    fails(PROTOCOL),
)
member(
    "two lengths",
    answering(with_headers(b"Content-Length: 3\r\nContent-Length: 5", b"abcde")),
    fails(PROTOCOL),
)
member(
    "length beyond all numbers",
    answering(with_headers(b"Content-Length: 99999999999999999999999", b"abc")),
    answers(body=b"abc"),
    httpx=fails(PROTOCOL),
)
CHUNKED = b"Transfer-Encoding: chunked"
member(
    "length and chunks",
    answering(
        with_headers(b"Content-Length: 3\r\n" + CHUNKED, b"3\r\nabc\r\n0\r\n\r\n")
    ),
    answers(body=b"abc"),
)
member(
    "chunk of 8 exabytes",
    answering(with_headers(CHUNKED, b"7fffffffffffffff\r\nabc")),
    fails(PROTOCOL),
)
member(
    "chunk size is no number",
    answering(with_headers(CHUNKED, b"zz\r\nabc")),
    fails(PROTOCOL),
)
member(
    "last chunk missing",
    answering(with_headers(CHUNKED, b"3\r\nabc\r\n")),
    fails(PROTOCOL),
)
member(
    "chunk in the place of a trailer",
    answering(
        with_headers(CHUNKED + b"\r\nTrailer: X-A", b"3\r\nabc\r\n0\r\nno trailer\r\n")
    ),
    fails(PROTOCOL),
)
member(
    "transfer encoding without a shape",
    answering(with_headers("Transfer-Encoding: ch\ue316\u0600".encode(), b"abc")),
    fails(PROTOCOL),
)
member(
    "flood of trailers",
    repeating(with_headers(CHUNKED, b"3\r\nabc\r\n0\r\n"), b"X-Trailer: 1\r\n", 10_000),
    fails(TOO_LARGE),
)
member("HTTP/0.9", answering(b"<html>hello</html>"), fails(PROTOCOL))
member(
    "HTTP/9.9",
    answering(b"HTTP/9.9 200 OK\r\n\r\n"),
    fails(PROTOCOL),
    httpx=answers(body=b""),
)
for status in (b"000", b"099", b"20O"):
    member(
        f"status {status.decode()}",
        answering(b"HTTP/1.1 " + status + b" X\r\nContent-Length: 0\r\n\r\n"),
        fails(PROTOCOL),
    )
for status in (b"600", b"999"):
    member(
        f"status {status.decode()}",
        answering(b"HTTP/1.1 " + status + b" X\r\nContent-Length: 0\r\n\r\n"),
        answers(int(status)),
    )
member(
    "reason of a megabyte",
    answering(b"HTTP/1.1 200 " + b"O" * 2**20 + b"\r\n\r\n"),
    fails(TOO_LARGE),
)
member(
    "reason with escape codes and markup",
    answering(
        b"HTTP/1.1 404 \x1b[31m<script>alert(1)</script>\r\nContent-Length: 0\r\n\r\n"
    ),
    answers(404),
)
member(
    "a million headers", repeating(STATUS, b"X-A: b\r\n" * 1000, 1000), fails(TOO_LARGE)
)
member(
    "a header of 100 MB",
    repeating(STATUS + b"X-A: ", b"a" * 2**20, 100),
    fails(TOO_LARGE),
)
member(
    "10,000 cookies",
    answering(
        with_headers(b"\r\n".join(b"Set-Cookie: a%d=1" % i for i in range(10_000)))
    ),
    fails(TOO_LARGE),
)
member(
    "as many headers as there may be",
    answering(with_headers(b"\r\n".join(b"X-%d: 1" % i for i in range(200)), b"ok")),
    answers(body=b"ok", header=("x-199", "1")),
)
member("NUL in a header", answering(with_headers(b"X-A: a\0b", b"ok")), fails(PROTOCOL))
member(
    "bare CR in a header", answering(with_headers(b"X-A: a\rb", b"ok")), fails(PROTOCOL)
)
member(
    "bare line feeds",
    answering(b"HTTP/1.1 200 OK\nX-A: b\nContent-Length: 2\n\nok"),
    answers(body=b"ok", header=("x-a", "b")),
)
member(
    "folded header",
    answering(with_headers(b"X-A: a\r\n  b\r\nContent-Length: 2", b"ok")),
    answers(body=b"ok", header=("x-a", "a b")),
)
member(
    "header in Latin-1",
    answering(with_headers(b"X-A: caf\xe9\r\nContent-Length: 2", b"ok")),
    answers(body=b"ok", header=("x-a", "café")),
)
member(
    "header in UTF-8",
    answering(with_headers("X-A: café\r\nContent-Length: 2".encode(), b"ok")),
    answers(body=b"ok", header=("x-a", "café")),
)
member(
    "header without a colon",
    answering(with_headers(b"nonsense", b"ok")),
    fails(PROTOCOL),
)
member(
    "HTTP/2 preface", answering(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), fails(PROTOCOL)
)
member("SSH", greeting(b"SSH-2.0-OpenSSH_9.2\r\n"), fails(PROTOCOL))
member("SMTP", greeting(b"220 mail.example ESMTP\r\n"), fails(PROTOCOL))
member("Redis", greeting(b"-ERR unknown command\r\n"), fails(PROTOCOL))
member("noise", answering(os.urandom(4096).replace(b"H", b"h")), fails(PROTOCOL))
member(
    "TLS to a plain client", answering(b"\x15\x03\x01\x00\x02\x02\x28"), fails(PROTOCOL)
)
member(
    "plain text to a TLS client",
    greeting(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    fails(TLS, "The TLS handshake failed"),
    scheme="https",
)
member(
    "endless body",
    repeating(with_headers(b"Content-Type: text/plain"), b"x" * 2**16),
    answers(body=b"x" * CAP, is_cut=True),
)
member(
    "body of a gigabyte",
    repeating(with_headers(b"Content-Length: %d" % 2**30), b"x" * 2**18, 2**12),
    answers(body=b"x" * CAP, is_cut=True),
)
member(
    "endless chunks",
    repeating(with_headers(CHUNKED), b"1\r\nx\r\n" * 1000),
    answers(body=b"x" * CAP, is_cut=True),
)
member(
    "endless chunk extension",
    repeating(with_headers(CHUNKED, b"5;"), b"a" * 2**16),
    fails(TIMEOUT),
    httpx=fails(TOO_LARGE),
    probe={"timeout": SHORT},
)
member(
    "body of just the cap",
    answering(with_headers(b"Content-Length: %d" % CAP, b"x" * CAP)),
    answers(body=b"x" * CAP),
)
member(
    "switches protocols unasked",
    answering(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    ),
    fails(PROTOCOL),
)

member(
    "lengths of a list",
    answering(with_headers(b"Content-Length: 3, 3", b"abc")),
    answers(body=b"abc"),
)

# --- encodings

TEXT = b"hello, website\n" * 100
raw_deflate = zlib.compressobj(wbits=-15)
RAW_DEFLATE = raw_deflate.compress(TEXT) + raw_deflate.flush()
BOMB = gzip.compress(bytes(50_000_000))
member("gzip", encoded(b"gzip", gzip.compress(TEXT)), answers(body=TEXT))
member("x-gzip", encoded(b"x-gzip", gzip.compress(TEXT)), answers(body=TEXT))
member(
    "two gzip members",
    encoded(b"gzip", gzip.compress(TEXT) * 2),
    answers(body=TEXT * 2),
)
member("deflate as zlib", encoded(b"deflate", zlib.compress(TEXT)), answers(body=TEXT))
member("deflate without zlib", encoded(b"deflate", RAW_DEFLATE), answers(body=TEXT))
member(
    "gzip cut short",
    encoded(b"gzip", gzip.compress(os.urandom(5000))[:3000]),
    answers(),
)
member(
    "gzip with a tail",
    encoded(b"gzip", gzip.compress(TEXT) + b"rubbish"),
    answers(body=TEXT),
)
member("text called gzip", encoded(b"gzip", TEXT), fails(PROTOCOL, '"gzip"'))
member("text called deflate", encoded(b"deflate", TEXT), fails(PROTOCOL, '"deflate"'))
member("gzip bomb", encoded(b"gzip", BOMB), answers(body=bytes(CAP), is_cut=True))
member(
    "bomb in a bomb",
    encoded(b"gzip, gzip", gzip.compress(BOMB)),
    answers(body=bytes(CAP), is_cut=True),
)
member(
    "endless empty deflate blocks",
    repeating(
        with_headers(b"Content-Encoding: deflate"), b"\x00\x00\x00\xff\xff" * 10_000
    ),
    answers(body=b"", is_cut=True),
)
member(
    "20 encodings",
    encoded(b", ".join([b"gzip"] * 20), gzip.compress(TEXT)),
    fails(PROTOCOL, "20 encodings"),
)
member(
    "20 encodings in 20 headers",
    answering(with_headers(b"\r\n".join([b"Content-Encoding: gzip"] * 20), TEXT)),
    fails(PROTOCOL, "20 encodings"),
)
for encoding in (b"br", b"zstd", b"rot13", b"utf-7", b"\xff"):
    member(f"encoding {encoding!r}", encoded(encoding, TEXT), answers(body=TEXT))
member("encoding identity", encoded(b"identity", TEXT), answers(body=TEXT))
member("gzip without a body", encoded(b"gzip", b""), answers(body=b""))
member(
    "transfer encoding gzip",
    answering(with_headers(b"Transfer-Encoding: gzip", gzip.compress(TEXT))),
    fails(PROTOCOL),
)

# --- redirects: never followed, whatever they say

for location in (
    b"/",
    b"",
    b"//",
    b"file:///etc/passwd",
    b"gopher://127.0.0.1:6379/_x",
    b"javascript:alert(1)",
    b"http://169.254.169.254/latest/meta-data/",
    b"http://[::ffff:169.254.169.254]/",
    b"http://0x7f000001/",
    b"\xff\xfe",
):
    member(f"redirect to {location!r}", redirecting(location), answers(302))
member("redirect of a megabyte", redirecting(b"/" + b"a" * 2**20), fails(TOO_LARGE))

# --- polite failures

member(
    "429",
    answering(
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n"
    ),
    answers(429, header=("retry-after", "60")),
)
member(
    "401 with odd challenges",
    answering(
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
    ),
    answers(401),
)
member(
    "204 with a body",
    answering(b"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nabc"),
    answers(204, body=b""),
)
member("304", answering(b"HTTP/1.1 304 Not Modified\r\n\r\n"), answers(304, body=b""))
member(
    "206",
    answering(b"HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n\r\nok"),
    answers(206),
)
member(
    "HEAD with a body",
    answering(OK),
    answers(200, body=b""),
    probe={"method": "HEAD"},
)
member(
    "proxy demand",
    answering(
        b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
    ),
    answers(407),
)

# --- TLS

member(
    "good certificate",
    answering(OK),
    answers(body=b"ok"),
    scheme="https",
    certificate="good",
)
member(
    "intermediate shown",
    answering(OK),
    answers(),
    scheme="https",
    certificate="with an intermediate",
)
member(
    "10,000 names",
    answering(OK),
    fails(TLS, "excessive message"),
    scheme="https",
    certificate="10,000 names",
)
for name in (
    "1,000 names",
    "valid to the end of time",
    "valid into 2049",
    "valid into 2050",
    "empty subject",
    "subject with markup",
    "no alternative names",
):
    member(name, answering(OK), answers(), scheme="https", certificate=name)
for name, fault, code in (
    ("expired", "expired 3 days ago", 10),
    ("expired a moment ago", "expired less than a day ago", 10),
    ("not yet valid", "not valid for another 3 days", 9),
    ("wrong host", "for other.example, www.other.example, not for localhost", 0),
    ("wrong host and expired", "expired 3 days ago", 10),
    ("self-signed", "self-signed", 18),
    ("unknown issuer", "signed by an unknown authority", 20),
    ("intermediate missing", "an intermediate certificate is missing", 20),
    (
        "intermediate expired",
        "signed by an authority whose own certificate is expired",
        10,
    ),
    ("wildcard for everything", "for *, not for localhost", 0),
    ("RSA of 1024 bits", "of too small a key", 66),
):
    member(
        name,
        answering(OK),
        shows_certificate(fault, code=code),
        httpx=says_certificate(),
        scheme="https",
        certificate=name,
    )
member(
    "handshake stalls",
    silent,
    fails(TIMEOUT, "The TLS handshake did not end within 0.5 s."),
    scheme="https",
    probe={"timeout": SHORT},
)
member("close in the handshake", close_at_once, fails(TLS), scheme="https")
member("reset in the handshake", reset_at_once, fails(TLS), scheme="https")
member(
    "TLS alert", greeting(b"\x15\x03\x01\x00\x02\x02\x28"), fails(TLS), scheme="https"
)
member(
    "flood of TLS alerts",
    repeating_at_once(b"\x15\x03\x01\x00\x02\x01\x5a" * 1000),
    fails(TLS),
    scheme="https",
)
member("TLS noise", greeting(os.urandom(4096)), fails(TLS), scheme="https")
