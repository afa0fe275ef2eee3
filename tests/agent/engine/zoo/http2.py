"""Servers that speak HTTP/2, with who asks for it from the first byte on (RFC 9113)."""

import struct
from datetime import timedelta
from typing import Any

from argos.core.options import HTTPVersion, ProbeOptions
from tests.agent.engine.h2 import (
    ANSWER,
    END,
    END_HEADERS,
    END_STREAM,
    PADDED,
    STATUS_200,
    Kind,
    data,
    field,
    frame,
    headers,
    speaking,
)
from tests.agent.engine.servers import Behaviour
from tests.agent.engine.zoo.member import (
    CAP,
    CONNECT,
    INTERNAL,
    PROTOCOL,
    SHORT,
    TIMEOUT,
    TOO_LARGE,
    Check,
    answers,
    fails,
    fails_as,
    member,
)

_LONG = timedelta(seconds=10)
_OPTIONS = ProbeOptions(http_version=HTTPVersion.V2_PRIOR_KNOWLEDGE)
# A reset may overtake what it is about.
_IS_REFUSED = fails_as(PROTOCOL, CONNECT)


def _member(name: str, behave: Behaviour, expects: Check, **probe: Any) -> None:
    member(
        f"HTTP/2: {name}",
        behave,
        expects,
        httpx=fails(INTERNAL, "cannot serve the probe option http_version"),
        url="{scheme}://127.0.0.1:{port}/",
        probe={"options": _OPTIONS, "timeout": _LONG, **probe},
    )


def _number(value: int, *more: int) -> bytes:
    return struct.pack(f"!{1 + len(more)}I", value, *more)


def _setting(identifier: int, value: int) -> bytes:
    return frame(Kind.SETTINGS, payload=struct.pack("!HI", identifier, value))


# Frames without end

for name, piece in {
    "settings": _setting(3, 100),
    "empty settings": frame(Kind.SETTINGS),
    "unknown frames": frame(0xEE, payload=b"x" * 100),
    "priorities": frame(Kind.PRIORITY, stream=1, payload=_number(0) + b"\x01"),
    "other addresses": frame(10, payload=b'\x00\x05ab.cdh2=":1"'),
    "empty blocks": headers(flags=END_HEADERS),
}.items():
    _member(
        f"flood of {name}",
        speaking(endless=piece * 100),
        # Whether it is one depends on how fast we can answer.
        fails_as(PROTOCOL, CONNECT, TIMEOUT),
        timeout=SHORT,
    )
_member(
    "headers that go on for ever",
    speaking(
        headers(STATUS_200, flags=0),
        endless=frame(Kind.CONTINUATION, stream=1, payload=field(b"x", b"y" * 1000)),
    ),
    _IS_REFUSED,
)
_member(
    "headers that go on for ever with nothing",
    speaking(
        headers(STATUS_200, flags=0),
        endless=frame(Kind.CONTINUATION, stream=1) * 200,
    ),
    _IS_REFUSED,
)
_member(
    "empty pieces for ever",
    speaking(ANSWER, endless=data(b"") * 200),
    _IS_REFUSED,
)
_member(
    "trailers for ever",
    speaking(ANSWER, endless=headers(field(b"x-t", b"1")) * 50),
    _IS_REFUSED,
)
_member(
    "interim answers for ever",
    speaking(endless=headers(field(b":status", b"103")) * 50),
    fails(TOO_LARGE, "Interim (1xx) answers"),
)
_member(
    "padding for ever",
    speaking(
        ANSWER,
        endless=data(b"\xff" + bytes(255), flags=PADDED) * 50,
    ),
    fails(PROTOCOL, "frames without end"),
)
_member(
    "pings for ever",
    speaking(endless=frame(Kind.PING, payload=b"12345678")),
    fails(TIMEOUT),
    timeout=SHORT,
)
_member(
    "window updates for ever",
    speaking(endless=frame(Kind.WINDOW_UPDATE, payload=_number(1)) * 100),
    fails(PROTOCOL, "frames without end"),
)
_member(
    "body without end",
    speaking(ANSWER, endless=data(b"x" * 16_384)),
    answers(body=b"x" * CAP, is_cut=True),
)

# Too much

_member(
    "small block that means a big one",
    speaking(
        headers(STATUS_200, field(b"x-a", b"b" * 4000, is_kept=True), b"\xbe" * 12_000),
        END,
    ),
    fails(TOO_LARGE, "headers"),
)
_member(
    "many headers",
    speaking(headers(STATUS_200, field(b"x-b", b"c") * 1500), END),
    fails(TOO_LARGE, "more than 200 header fields"),
)
_member(
    "frame of a MiB",
    speaking(ANSWER, data(b"x" * 2**20)),
    _IS_REFUSED,
)

# Ends

for name, frames in {
    "stream is reset": [frame(Kind.RST_STREAM, 0, 1, _number(2))],
    "stream is refused": [frame(Kind.RST_STREAM, 0, 1, _number(7))],
    "stream is cancelled in the body": [
        ANSWER,
        data(b"o"),
        frame(Kind.RST_STREAM, 0, 1, _number(8)),
    ],
    "good-bye at once": [frame(Kind.GOAWAY, payload=_number(0, 0))],
    "good-bye with a script": [
        frame(Kind.GOAWAY, payload=_number(0, 11) + b"<script>")
    ],
}.items():
    _member(name, speaking(*frames), _IS_REFUSED)
_member(
    "good-bye after this one",
    speaking(frame(Kind.GOAWAY, payload=_number(1, 0)), ANSWER, END),
    answers(body=b"ok"),
)
_member("end without an answer", speaking(then="fin"), _IS_REFUSED)
_member("end after the headers", speaking(ANSWER, then="fin"), _IS_REFUSED)
_member("silent", speaking(), fails(TIMEOUT), timeout=SHORT)
_member(
    "stall in the body",
    speaking(ANSWER, data(b"o")),
    fails(TIMEOUT),
    timeout=SHORT,
)

# Violations

for name, frames in {
    "no status": [headers(field(b"x-a", b"b")), END],
    "status 000": [headers(field(b":status", b"000")), END],
    "status 99999": [headers(field(b":status", b"99999")), END],
    "status abc": [headers(field(b":status", b"abc")), END],
    "body before the headers": [END],
    "answer to another stream": [headers(STATUS_200, stream=3)],
    "stream of the server": [headers(STATUS_200, stream=2)],
    "more padding than there is": [ANSWER, data(b"\xffok", flags=END_STREAM | PADDED)],
    "index of no field": [headers(b"\xff\xff\xff\xff\xff\xff")],
    "capitals": [headers(STATUS_200, field(b"X-A", b"b")), END],
    "header of the connection": [
        headers(STATUS_200, field(b"connection", b"keep-alive")),
        END,
    ],
    "length too small": [headers(STATUS_200, field(b"content-length", b"1")), END],
    "length too great": [headers(STATUS_200, field(b"content-length", b"9")), END],
    "pushed page": [
        frame(Kind.PUSH_PROMISE, END_HEADERS, 1, _number(2) + b"\x82\x84\x87\x41\x01x"),
        ANSWER,
        END,
    ],
    "window too wide": [
        frame(Kind.WINDOW_UPDATE, 0, 1, _number(2**31 - 1)),
        ANSWER,
        END,
    ],
    "window wider by nothing": [
        frame(Kind.WINDOW_UPDATE, 0, 1, _number(0)),
        ANSWER,
        END,
    ],
    "frames too big by its own word": [_setting(5, 1), ANSWER, END],
    "text called gzip": [headers(STATUS_200, field(b"content-encoding", b"gzip")), END],
}.items():
    _member(name, speaking(*frames), _IS_REFUSED)
_member(
    "line breaks in a header",
    speaking(headers(STATUS_200, field(b"x-a", b"b\r\nset-cookie: a")), END),
    answers(body=b"ok"),
)
_member(
    "no room for what we would send",
    speaking(_setting(4, 0), ANSWER, END),
    answers(body=b"ok"),
)
_member(
    "trailers",
    speaking(
        ANSWER,
        data(b"ok"),
        headers(field(b"x-t", b"1"), flags=END_HEADERS | END_STREAM),
    ),
    answers(body=b"ok"),
)
