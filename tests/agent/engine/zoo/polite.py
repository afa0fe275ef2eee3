"""Servers that decline, within the rules or a little beside them."""

from tests.agent.engine.servers import (
    OK,
    answering,
)
from tests.agent.engine.zoo.member import (
    answers,
    member,
)

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
member(
    "block of robots",
    answering(
        b"HTTP/1.1 403 Forbidden\r\nServer: cloudshield\r\nContent-Length: 20\r\n\r\n"
        b"<h1>Are you human?</"
    ),
    answers(403, body=b"<h1>Are you human?</"),
)
member(
    "503 with a Retry-After of no sense",
    answering(
        b"HTTP/1.1 503 No\r\nRetry-After: never, or -1\r\nContent-Length: 0\r\n\r\n"
    ),
    answers(503, header=("retry-after", "never, or -1")),
)
