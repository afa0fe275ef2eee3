"""Redirects: followed hop by hop as far as asked, and never where we do not go."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from argos.agent.engine.address import Policy
from argos.core.options import ProbeOptions
from argos.core.probe import FailureKind, Probe, ProbeFailure, ProbeResponse
from tests.agent.engine.servers import OK, read_request

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "Bearer canary-7f3a"


class Site:
    """A website that redirects by path, and remembers what it was asked."""

    def __init__(self, servers, *, tls=None) -> None:
        self.seen: list[str] = []
        self.places: dict[str, tuple[int, str]] = {}
        self.port = servers.serve(self.behave, tls=tls)
        self.scheme = "http" if tls is None else "https"

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def lead(self, path: str, where: str, status: int = 302) -> None:
        self.places[path] = status, where

    @property
    def lines(self) -> list[str]:
        return [head.split(" HTTP")[0] for head in self.seen]

    async def behave(self, reader, writer):
        head = (await read_request(reader)).decode()
        self.seen.append(head)
        found = self.places.get(head.split(" ")[1])
        if found is None:
            writer.write(OK)
        else:
            status, where = found
            fields = f"HTTP/1.1 {status} x\r\nLocation: {where}\r\nContent-Length: 0"
            writer.write(f"{fields}\r\n\r\n".encode())
        await writer.drain()


@pytest.fixture
def site(servers) -> Site:
    return Site(servers)


def following(url: str, limit: int = 3, **more) -> Probe:
    options = ProbeOptions(follow=limit, authorization=SECRET)
    return Probe(url, options=options, **more)


async def test_redirects_are_the_answer_unless_asked_to_follow(engine, site):
    site.lead("/", "/next")

    outcome = await engine.probe(Probe(site.url()))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.status_code == 302
    assert outcome.details.hops == ()
    assert site.lines == ["GET /"]


async def test_hops_are_told_and_credentials_stay_with_their_website(engine, servers):
    first, second = Site(servers), Site(servers)
    first.lead("/", "/again")
    first.lead("/again", second.url("/there", "localhost"))
    headers = {"X-Key": "canary"}

    outcome = await engine.probe(following(first.url(), headers=headers))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.status_code == 200
    assert outcome.body == b"ok"
    hops = (first.url("/again"), second.url("/there", "localhost"))
    assert outcome.details.hops == hops
    assert all("canary-7f3a" in head and "X-Key" in head for head in first.seen)
    assert not any("canary" in head for head in second.seen)
    assert len(first.seen) == 2


@pytest.mark.parametrize(
    ("status", "method", "sent"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
        (302, "HEAD", "HEAD"),
    ],
)
async def test_methods_change_as_in_browsers(engine, site, status, method, sent):
    site.lead("/", "/next", status)
    body = None if method == "HEAD" else b"data"

    await engine.probe(following(site.url(), method=method, body=body))

    assert site.lines == [f"{method} /", f"{sent} /next"]
    assert ("content-length: 4" in site.seen[1].lower()) is (sent in {"POST", "PUT"})


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("/", "it leads in a circle"),
        ("//user:pw@127.0.0.1/", "it names a user"),
        ("ftp://127.0.0.1/", "Only http:// and https://"),
        ("file:///etc/passwd", "Only http:// and https://"),
        ("http://0x7f.1/", "is a number"),
        ("http://127.0.0.1:99999/", "."),
        ("javascript:alert(1)", "Only http:// and https://"),
        ("http://[::1", "."),
    ],
)
async def test_redirects_to_bad_places_are_not_followed(engine, site, where, words):
    site.lead("/", where)

    outcome = await engine.probe(following(site.url()))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.REDIRECT
    assert words in outcome.message
    assert site.lines == ["GET /"]


async def test_circles_end_where_they_begin_again(engine, site):
    site.lead("/", "/a")
    site.lead("/a", "/b")
    site.lead("/b", "/")

    outcome = await engine.probe(following(site.url(), 10))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.message == "The redirect to / is not followed: it leads in a circle."
    assert site.lines == ["GET /", "GET /a", "GET /b"]


async def test_more_redirects_than_asked_for_are_a_failure(engine, site):
    for n in range(5):
        site.lead(f"/{n}", f"/{n + 1}")

    outcome = await engine.probe(following(site.url("/0"), 2))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.message == (
        "The redirect to /3 is not followed: it is one more than 2."
    )
    assert outcome.details.hops == (site.url("/1"), site.url("/2"))


async def test_data_is_not_given_to_another_website(engine, servers, site):
    other = Site(servers)
    site.lead("/", other.url(), 307)

    outcome = await engine.probe(following(site.url(), method="POST", body=b"data"))

    assert isinstance(outcome, ProbeFailure)
    assert "give the data of the request to another website" in outcome.message
    assert other.seen == []


async def test_https_is_not_left(engine, servers, shop, site):
    safe = Site(servers, tls=shop.context("good"))
    safe.lead("/", site.url())

    outcome = await engine.probe(following(safe.url(host="localhost")))

    assert isinstance(outcome, ProbeFailure)
    assert "it leads away from https" in outcome.message
    assert outcome.certificate is not None
    assert site.seen == []


async def test_the_way_to_https_shows_its_certificate(engine, servers, shop, site):
    safe = Site(servers, tls=shop.context("good"))
    site.lead("/", safe.url("/in", "localhost"))
    probe = following(site.url(host="localhost"))

    outcome = await engine.probe(replace(probe, wants_certificate=False))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.certificate is not None
    assert not any("canary" in head for head in safe.seen)


async def test_the_deadline_is_one_for_all_hops(engine, servers):
    async def stroll(reader, writer):
        number = int((await read_request(reader)).split(b" ")[1][1:] or b"0")
        await asyncio.sleep(0.3)
        fields = f"HTTP/1.1 302 x\r\nLocation: /{number + 1}\r\nContent-Length: 0"
        writer.write(f"{fields}\r\n\r\n".encode())
        await writer.drain()

    port = servers.serve(stroll)
    timeout = timedelta(seconds=1)
    began_at = asyncio.get_running_loop().time()

    outcome = await engine.probe(
        following(f"http://127.0.0.1:{port}/0", 10, timeout=timeout)
    )

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.TIMEOUT
    assert asyncio.get_running_loop().time() - began_at < 2.5
    assert (outcome.timings.total_us or 0) > 800_000


async def test_s50_each_hop_is_judged_by_the_policy(make_engines, servers):
    policy = Policy.from_texts(deny=["127.0.0.2/32"])
    for engine in await make_engines(policy=policy):
        site = Site(servers)
        for place in ("http://127.0.0.2:80/", "http://169.254.169.254/latest"):
            site.lead("/", place)

            outcome = await engine.probe(following(site.url()))

            assert isinstance(outcome, ProbeFailure)
            assert outcome.kind is FailureKind.REFUSED
            assert "This agent may not" in outcome.message
            assert outcome.details.hops == (place.replace(":80", ""),)
