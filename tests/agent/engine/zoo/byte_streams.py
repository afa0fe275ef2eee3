"""Servers whose bytes are no HTTP, too much of it, or only half."""

import os

from tests.agent.engine.servers import (
    answering,
)
from tests.agent.engine.zoo.behaviours import (
    CHUNKED,
    STATUS,
    close_at_once,
    greeting,
    repeating,
    reset_at_once,
    sending,
    with_headers,
)
from tests.agent.engine.zoo.member import (
    CAP,
    PROTOCOL,
    SHORT,
    TIMEOUT,
    TLS,
    TOO_LARGE,
    answers,
    fails,
    member,
)

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
member(
    "2 GB behind a small length",
    repeating(with_headers(b"Content-Length: 3", b"abc"), b"x" * 2**18, 2**13),
    answers(body=b"abc"),
)
