"""Every address of a name, and name servers of websites' own."""

import asyncio

import pytest

from argos.agent.engine.address import Policy
from argos.agent.engine.resolver import MAX_NAME_SERVERS
from argos.core.options import ProbeOptions
from argos.core.probe import FailureKind, Probe, ProbeFailure, ProbeResponse
from tests.agent.engine.name_server import NameServer, Zone
from tests.agent.engine.servers import OK, answering

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = ProbeOptions(all_addresses=True)
HERE = [f"127.0.0.{n}" for n in range(1, 13)]


@pytest.fixture
def port(servers) -> int:
    """Of a website at two addresses; at the third it is sick, at others there is none."""
    found: int = servers.serve(answering(OK), host="127.0.0.1")
    servers.serve(answering(OK), host="127.0.0.2", port=found)
    sick = b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n"
    servers.serve(answering(sick), host="127.0.0.3", port=found)
    return found


@pytest.fixture
def other_server(servers) -> NameServer:
    server = NameServer()
    server.port = servers.serve_datagrams(server)
    return server


async def test_all_addresses_of_a_name_are_known(curl_engine, name_server, port):
    name_server.zones["three.example"] = Zone(tuple(HERE[:3]))
    name_server.zones["one.example"] = Zone(tuple(HERE[:1]))

    three = await curl_engine.probe(Probe(f"http://three.example:{port}/"))
    one = await curl_engine.probe(Probe(f"http://one.example:{port}/"))

    assert set(three.details.addresses) == set(HERE[:3])
    assert one.details.addresses == ()


async def test_each_address_is_probed_and_the_worst_counts(
    curl_engine, name_server, port
):
    name_server.zones["four.example"] = Zone(tuple(HERE[:4]))

    outcome = await curl_engine.probe(
        Probe(f"http://four.example:{port}/", options=ALL)
    )

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.CONNECT
    assert outcome.remote_address == "127.0.0.4"
    came = {
        each.remote_address: getattr(each, "status_code", None)
        for each in outcome.details.by_address
    }
    assert came == {
        "127.0.0.1": 200,
        "127.0.0.2": 200,
        "127.0.0.3": 500,
        "127.0.0.4": None,
    }


async def test_an_address_alone_is_probed_once(curl_engine, port):
    outcome = await curl_engine.probe(Probe(f"http://127.0.0.1:{port}/", options=ALL))

    assert isinstance(outcome, ProbeResponse)
    assert len(outcome.details.by_address) == 1


async def test_no_more_than_eight_are_probed(curl_engine, name_server, port):
    name_server.zones["many.example"] = Zone(tuple(HERE))

    outcome = await curl_engine.probe(
        Probe(f"http://many.example:{port}/", options=ALL)
    )

    assert len(outcome.details.by_address) == 8
    assert len(outcome.details.addresses) == 12


async def test_a_forbidden_address_is_one_of_them(make_curl_engine, name_server, port):
    engine = await make_curl_engine(policy=Policy.from_texts(deny=["127.0.0.2/32"]))
    name_server.zones["half.example"] = Zone(tuple(HERE[:2]))

    outcome = await engine.probe(Probe(f"http://half.example:{port}/", options=ALL))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.REFUSED
    assert len(outcome.details.by_address) == 2


async def test_all_addresses_may_be_cancelled_at_once(
    make_curl_engine, name_server, servers
):
    came = []
    gate = asyncio.Event()

    async def wait(reader, writer):
        came.append(writer.get_extra_info("sockname")[0])
        await reader.read(10_000)
        await gate.wait()

    engine = await make_curl_engine(slots=1)
    port = servers.serve(wait, host="127.0.0.1")
    servers.serve(wait, host="127.0.0.2", port=port)
    name_server.zones["slow.example"] = Zone(tuple(HERE[:2]))
    running = asyncio.create_task(
        engine.probe(Probe(f"http://slow.example:{port}/", options=ALL))
    )
    async with asyncio.timeout(10):
        while len(came) < 2:  # noqa: ASYNC110  no event reaches us from there
            await asyncio.sleep(0.01)

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    # Its slot is free again, and the worker in good health.
    outcome = await engine.probe(Probe(f"http://127.0.0.9:{port}/"))
    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.CONNECT


async def test_a_website_may_have_a_name_server_of_its_own(
    curl_engine, name_server, other_server, port
):
    name_server.zones["split.example"] = Zone(("127.0.0.3",))
    other_server.zones["split.example"] = Zone(("127.0.0.2",))
    options = ProbeOptions(name_server=f"127.0.0.1:{other_server.port}")
    url = f"http://split.example:{port}/"

    inside = await curl_engine.probe(Probe(url, options=options))
    outside = await curl_engine.probe(Probe(url))

    assert inside.remote_address == "127.0.0.2"
    assert outside.remote_address == "127.0.0.3"


async def test_a_dead_name_server_delays_nobody_else(
    curl_engine, name_server, other_server, port
):
    name_server.zones["alive.example"] = Zone(("127.0.0.1",))
    options = ProbeOptions(name_server=f"127.0.0.1:{other_server.port}")
    dead = []
    for n in range(100):
        other_server.zones[f"dead{n}.example"] = Zone(is_silent=True)
        probe = Probe(f"http://dead{n}.example:{port}/", options=options)
        dead.append(asyncio.create_task(curl_engine.probe(probe)))

    for _ in range(10):
        outcome = await curl_engine.probe(Probe(f"http://alive.example:{port}/"))
        assert isinstance(outcome, ProbeResponse)
        assert (outcome.timings.dns_us or 0) < 500_000

    assert not any(task.done() for task in dead)
    for task in dead:
        task.cancel()
    await asyncio.gather(*dead, return_exceptions=True)


async def test_the_name_servers_of_many_websites_take_turns(
    curl_engine, other_server, port
):
    other_server.zones["any.example"] = Zone(("127.0.0.1",))
    for n in range(MAX_NAME_SERVERS + 10):
        # All of 127/8 is this machine, but only one of them is listened to.
        where = "127.0.0.1" if n % 20 == 0 else f"127.1.0.{n}"
        options = ProbeOptions(name_server=f"{where}:{other_server.port}")
        probe = Probe(f"http://any.example:{port}/", options=options)

        outcome = await curl_engine.probe(probe)

        assert isinstance(outcome, ProbeResponse) is (where == "127.0.0.1")


async def test_s50_the_name_server_is_judged_as_well(
    make_curl_engine, other_server, port
):
    other_server.zones["any.example"] = Zone(("127.0.0.1",))
    engine = await make_curl_engine(policy=Policy.from_texts(deny=["127.0.0.0/30"]))
    for server in (f"127.0.0.1:{other_server.port}", "169.254.169.254"):
        options = ProbeOptions(name_server=server)

        outcome = await engine.probe(
            Probe(f"http://any.example:{port}/", options=options)
        )

        assert isinstance(outcome, ProbeFailure)
        assert outcome.kind is FailureKind.REFUSED
        assert "name server" in outcome.message
    assert not other_server.asked
