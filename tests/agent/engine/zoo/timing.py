"""Servers that take their time."""

from tests.agent.engine.servers import (
    OK,
)
from tests.agent.engine.zoo.behaviours import (
    STATUS,
    repeating,
    sending,
    silent,
    with_headers,
)
from tests.agent.engine.zoo.member import (
    PROTOCOL,
    SHORT,
    TIMEOUT,
    TOO_LARGE,
    answers,
    fails,
    member,
)

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
member(
    "body slower than the deadline",
    sending(with_headers(b"Content-Length: 3"), b"a", b"b", b"c", pause=0.3),
    fails(TIMEOUT, "The answer did not end within 0.5 s."),
    probe={"timeout": SHORT},
)
