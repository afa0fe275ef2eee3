"""Redirects: the answer unless they are to be followed, and then only where we go."""

from typing import Any

from argos.core.options import MAX_FOLLOWED, ProbeOptions
from argos.core.probe import IPVersion
from tests.agent.engine.servers import OK, Behaviour, answering, read_request
from tests.agent.engine.zoo.behaviours import by_path, found_at, redirecting
from tests.agent.engine.zoo.member import (
    DNS,
    PROTOCOL,
    REDIRECT,
    REFUSED,
    TOO_LARGE,
    Check,
    answers,
    fails,
    member,
    reaches,
)
from tests.agent.engine.zoo.names import METADATA_V4, METADATA_V6, ODD_NUMBERS

# --- not followed, whatever they say

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

# --- followed, as far as asked

FOLLOWING = {"options": ProbeOptions(follow=MAX_FOLLOWED)}


def follow(name: str, behave: Behaviour, expects: Check, **more: Any) -> None:
    """A redirect whose probe follows as many as a probe may."""
    member(f"followed: {name}", behave, expects, probe=FOLLOWING, **more)


def follow_to(location: bytes, expects: Check, name: str = "", **more: Any) -> None:
    """A page whose only redirect leads there; all others are well."""
    follow(
        name or f"to {location!r}", by_path({b"/": found_at(location)}), expects, **more
    )


async def counting_up(reader, writer):
    """Redirect /1 to /2, and so on, a thousand times."""
    number = int((await read_request(reader)).split(b" ")[1][1:] or b"0")
    writer.write(OK if number >= 1000 else found_at(b"/%d" % (number + 1)))
    await writer.drain()


follow("to itself", redirecting(b"/"), fails(REDIRECT, "it leads in a circle."))
follow("empty", redirecting(b""), fails(REDIRECT, "it leads in a circle."))
follow(
    "loop of three",
    by_path({b"/": found_at(b"/a"), b"/a": found_at(b"/b"), b"/b": found_at(b"/")}),
    fails(REDIRECT, "it leads in a circle."),
)
follow("1,000 hops", counting_up, fails(REDIRECT, "it is one more than 10."))
follow(
    "just as many hops as there may be",
    by_path({b"/%d" % n: found_at(b"/%d" % (n + 1)) for n in range(10)}),
    reaches(*(f"/{n}" for n in range(1, 11))),
    url="http://localhost:{port}/0",
)
follow(
    "without a Location",
    answering(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"),
    answers(302),
)
follow("Location of a megabyte", redirecting(b"/" + b"a" * 2**20), fails(TOO_LARGE))
follow_to(b"/a\r\nX-More: 1", reaches("/a"), "another header behind the Location")
follow_to(b"/a%0d%0aX-More:%201", reaches("/a%0d%0aX-More:%201"))
follow_to(b"/a\rX-More: 1", fails(PROTOCOL), "Location with a bare CR")
follow_to(b"/a\tb", reaches("/ab"), "Location with a tab")
follow_to(b"//", fails(REDIRECT), "Location //")
follow_to(b"///a", reaches("/a"), "Location ///a")
follow_to(b"?a#b", reaches("/?a"), "Location with nothing but a query")
for location in (
    b"file:///etc/passwd",
    b"gopher://127.0.0.1:6379/_x",
    b"javascript:alert(1)",
    b"data:text/html,x",
    b"ftp://127.0.0.1/",
    b"dict://127.0.0.1:11211/",
):
    follow_to(location, fails(REDIRECT, "Only http:// and https://"))
follow_to(b"http://user:pw@127.0.0.1/", fails(REDIRECT, "it names a user."))
follow_to(b"http://[::1", fails(REDIRECT))
follow_to(b"http://127.0.0.1:99999/", fails(REDIRECT))
for host in ODD_NUMBERS:
    follow_to(f"http://{host}/".encode(), fails(REDIRECT))
for host in METADATA_V4:
    follow_to(f"http://{host}/".encode(), fails(REFUSED, "metadata"))
for host in METADATA_V6:
    follow_to(
        f"http://[{host}]/".encode(),
        fails(DNS, "is not an IPv4 address"),
    )
for host in METADATA_V6:
    options = {**FOLLOWING, "ip_version": IPVersion.V6}
    member(
        f"followed over IPv6: to {host}",
        by_path({b"/": found_at(f"http://[{host}]/".encode())}),
        fails(REFUSED, "metadata"),
        host="::1",
        url="http://[::1]:{port}/",
        probe=options,
    )
follow_to(
    b"http://localhost/",
    fails(REDIRECT, "it leads away from https."),
    "from https to http",
    scheme="https",
    certificate="good",
)
