"""Plain HTTP without libcurl: as libcurl does it, wherever both could."""

import asyncio
import socket
import time
from datetime import timedelta

import pytest

from argos.agent.engine.plain_request import write_request
from argos.agent.engine.request import prepare_request
from argos.core.options import ClientCertificate, HTTPVersion, ProbeOptions
from argos.core.probe import FailureKind, Probe, ProbeFailure, ProbeResponse
from tests.agent.engine.fuzz import CAP, DEADLINE, fuzzing
from tests.agent.engine.name_server import Zone
from tests.agent.engine.servers import OK, answering, wait_for_end
from tests.agent.engine.test_requests_sent import echo
from tests.agent.engine.zoo.behaviours import CHUNKED, repeating, with_headers

COUNT = 400
AT_ONCE = 20


def sent(url: str = "http://example.org/", **more) -> bytes | None:
    proxy = more.pop("proxy", None)
    return write_request(
        prepare_request(Probe(url, **more), user_agent="x", proxy=proxy)
    )


def by_libcurl(url: str) -> str:
    """The same, with a dot in the path, which libcurl takes out."""
    scheme, _, place = url.partition("://")
    authority, _, path = place.partition("/")
    return f"{scheme}://{authority}/./{path}"


def test_simple_request_is_written():
    assert sent("http://Example.org:81/a?b") == (
        b"GET /a?b HTTP/1.1\r\nHost: example.org:81\r\nUser-Agent: x\r\nAccept: */*\r\n"
        b"Accept-Encoding: gzip, deflate\r\nConnection: close\r\n\r\n"
    )


def test_data_follows_its_length():
    request = sent(method="PUT", body=b"a\0b", headers={"Host": "b.example"})

    assert request is not None
    assert request.startswith(b"PUT / HTTP/1.1\r\nHost: b.example\r\n")
    assert b"\r\nContent-Length: 3\r\n" in request
    assert request.endswith(b"\r\n\r\na\0b")
    assert request.count(b"Host:") == 1


@pytest.mark.parametrize(
    "probe",
    [
        {"url": "https://example.org/"},
        {"url": "http://example.org./"},
        {"url": "http://example.org/a/../b"},
        {"url": "http://example.org/a/%2e%2E/b"},
        {"url": "http://example.org/?"},
        {"proxy": "http://127.0.0.1:8080"},
        {"options": ProbeOptions(http_version=HTTPVersion.V2_PRIOR_KNOWLEDGE)},
        {"options": ProbeOptions(client_certificate=ClientCertificate("/a.pem"))},
        {"headers": {"Expect": "100-continue"}},
        {"headers": {"connection": "upgrade", "Upgrade": "h2c"}},
        {"headers": {"TE": "trailers"}},
        {"headers": {"X-A": "  "}},
        {"headers": {"Host": ""}},
    ],
    ids=lambda probe: str(next(iter(probe.values()))),
)
def test_whatever_is_not_simple_is_left_to_libcurl(probe):
    assert sent(**probe) is None


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"method": "HEAD"},
        {"method": "POST", "body": b"a=b\0"},
        {
            "method": "DELETE",
            "headers": {"X-B": "", "Host": "v.example", "Accept": "a"},
        },
        {"headers": {"Authorization": "Basic \u00e9"}},
    ],
    ids=["get", "head", "post", "headers", "UTF-8"],
)
async def test_website_sees_the_same_request(curl_engine, servers, more):
    url = f"http://localhost:{servers.serve(echo)}/path?q"

    ours, theirs = [
        await curl_engine.probe(Probe(each, **more)) for each in (url, by_libcurl(url))
    ]

    assert isinstance(ours, ProbeResponse)
    assert (ours.headers, ours.body) == (theirs.headers, theirs.body)


def facts(outcome):
    """All but times and how failures are worded."""
    timings = outcome.timings
    times = (timings.connect_us, timings.total_us)
    have = [time is not None for time in times]
    if isinstance(outcome, ProbeFailure):
        return outcome.kind, outcome.remote_address, have
    have += [timings.first_byte_us is not None, timings.transfer_us is not None]
    return (
        *(outcome.status_code, outcome.headers, outcome.body, outcome.body_is_cut),
        *(outcome.http_version, outcome.remote_address, outcome.certificate, have),
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_mutated_answers_have_the_outcome_that_libcurl_gives_them(
    curl_engine, servers
):
    port = servers.serve(fuzzing())
    left = iter(range(COUNT))
    differ = {}

    async def compare():
        for seed in left:
            url = f"http://127.0.0.1:{port}/{seed}"
            ours, theirs = await asyncio.gather(
                *(
                    curl_engine.probe(Probe(each, timeout=DEADLINE, max_body_bytes=CAP))
                    for each in (url, by_libcurl(url))
                )
            )
            if facts(ours) != facts(theirs):
                differ[seed] = ours, theirs

    await asyncio.gather(*(compare() for _ in range(AT_ONCE)))

    assert differ == {}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("is_by_libcurl", [False, True])
async def test_failures_are_worded_alike(curl_engine, servers, is_by_libcurl):
    async def wait(reader, _writer):
        await wait_for_end(reader)

    async def begin(reader, writer):
        writer.write(OK[:30])
        await wait_for_end(reader)

    with socket.create_server(("127.0.0.1", 0)) as closed:
        closed_port = closed.getsockname()[1]
    places = {
        closed_port: "Could not connect to 127.0.0.1 port {}: Connection refused.",
        servers.serve(wait): "No answer came within 0.3 s.",
        servers.serve(begin): "The answer did not end within 0.3 s.",
        servers.serve(answering(b"SSH-2")): (
            "The answer could not be used: Received HTTP/0.9 when not allowed."
        ),
        servers.serve(answering(b"")): (
            "The answer could not be used: Empty reply from server."
        ),
        servers.serve(answering(OK[:-1])): (
            "The answer could not be used: end of response with 1 bytes missing."
        ),
    }
    for port, words in places.items():
        url = f"http://127.0.0.1:{port}/"
        url = by_libcurl(url) if is_by_libcurl else url

        outcome = await curl_engine.probe(Probe(url, timeout=timedelta(seconds=0.3)))

        assert isinstance(outcome, ProbeFailure)
        assert outcome.message == words.format(port)


@pytest.mark.asyncio(loop_scope="module")
async def test_answer_to_half_a_request_counts(curl_engine, servers):
    """It is there before the data is out, and the connection is closed."""

    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 x\r\nContent-Length: 3\r\n\r\nbig")
        await writer.drain()

    probe = Probe(
        f"http://127.0.0.1:{servers.serve(refuse)}/", method="POST", body=bytes(10**7)
    )

    outcome = await curl_engine.probe(probe)

    assert isinstance(outcome, ProbeResponse)
    assert (outcome.status_code, outcome.body) == (413, b"big")


@pytest.mark.asyncio(loop_scope="module")
async def test_address_that_does_not_answer_costs_half_of_the_time(
    curl_engine, name_server, servers
):
    # Its accept queue is full: nobody answers there.
    with socket.socket() as full:
        # Asked for first, since other programs use this address much more than that one.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        servers.serve(answering(OK), host="127.0.0.2", port=port)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        name_server.zones["half.example"] = Zone(("127.0.0.1", "127.0.0.2"))
        began_at = time.monotonic()

        outcomes = [
            await curl_engine.probe(
                Probe(f"http://{name}:{port}/", timeout=timedelta(seconds=1))
            )
            for name in ("half.example", "127.0.0.1")
        ]

        elapsed = time.monotonic() - began_at
        for each in waiting:
            each.close()
    answered, failed = outcomes
    assert isinstance(answered, ProbeResponse)
    assert answered.remote_address == "127.0.0.2"
    assert 400_000 < (answered.timings.connect_us or 0) < 900_000
    assert isinstance(failed, ProbeFailure)
    assert failed.kind is FailureKind.TIMEOUT
    assert failed.message == f"No connection to 127.0.0.1 port {port} within 1 s."
    assert elapsed < 2.5


@pytest.mark.asyncio(loop_scope="module")
async def test_chunks_of_a_byte_do_not_hold_up_others(
    curl_engine, servers, healthy_ports
):
    flood = servers.serve(repeating(with_headers(CHUNKED), b"1\r\nx\r\n" * 10_000))
    probe = Probe(f"http://127.0.0.1:{flood}/", max_body_bytes=10**6)
    under_way = asyncio.create_task(curl_engine.probe(probe))

    others = [
        await curl_engine.probe(Probe(f"http://localhost:{healthy_ports['http']}/"))
        for _ in range(20)
    ]

    outcome = await under_way
    assert isinstance(outcome, ProbeResponse)
    assert outcome.body_is_cut
    assert all(isinstance(other, ProbeResponse) for other in others)


@pytest.mark.asyncio(loop_scope="module")
async def test_exchange_that_is_broken_off_closes_its_connection(curl_engine, servers):
    has_ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    has_begun = asyncio.Event()

    async def wait(reader, _writer):
        loop.call_soon_threadsafe(has_begun.set)
        await wait_for_end(reader)
        loop.call_soon_threadsafe(has_ended.set)

    probe = Probe(f"http://127.0.0.1:{servers.serve(wait)}/")
    under_way = asyncio.create_task(curl_engine.probe(probe))
    await asyncio.wait_for(has_begun.wait(), 5)

    under_way.cancel()

    await asyncio.wait_for(has_ended.wait(), 5)
