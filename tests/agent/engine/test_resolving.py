"""Names: looked up without holding anybody up, and judged by what they stand for."""

import asyncio
import socket
from datetime import timedelta

import pytest

from argos.core.options import ProbeOptions
from argos.core.probe import (
    FailureKind,
    IPVersion,
    Probe,
    ProbeFailure,
    ProbeResponse,
)
from tests.agent.engine.name_server import (
    NO_SUCH_NAME,
    SERVER_FAILURE,
    NameServer,
    Zone,
)
from tests.agent.engine.outcomes import known
from tests.agent.engine.servers import OK, answering
from tests.agent.engine.zoo.behaviours import silent

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def ask(name_server: NameServer, curl_engine, healthy_ports):
    """Probe the healthy website under a name that the name server knows so."""

    async def ask(name: str, zone: Zone, **more):
        name_server.zones[name] = zone
        url = f"http://{name}:{healthy_ports['http']}/"
        return await curl_engine.probe(Probe(url, **more))

    return ask


async def test_name_is_looked_up_and_timed(ask, name_server):
    outcome = await ask("plain.example", Zone(("127.0.0.1",)))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.remote_address == "127.0.0.1"
    assert known(outcome.timings.dns_us) > 0
    assert name_server.asked["plain.example"] == 1


async def test_answer_is_remembered_for_as_long_as_it_says(ask, name_server):
    for _ in range(5):
        await ask("remembered.example", Zone(("127.0.0.1",), ttl=60))

    assert name_server.asked["remembered.example"] == 1


async def test_equal_lookups_under_way_are_one(ask, name_server):
    outcomes = await asyncio.gather(
        *(ask("together.example", Zone(("127.0.0.1",), ttl=0)) for _ in range(50))
    )

    assert all(isinstance(outcome, ProbeResponse) for outcome in outcomes)
    assert name_server.asked["together.example"] == 1


async def test_name_in_the_hosts_file_needs_no_name_server(
    curl_engine, healthy_ports, name_server
):
    url = f"http://localhost:{healthy_ports['http']}/"

    outcome = await curl_engine.probe(Probe(url))

    assert isinstance(outcome, ProbeResponse)
    assert name_server.asked["localhost"] == 0


@pytest.mark.parametrize(
    ("zone", "says"),
    [
        (Zone(code=NO_SUCH_NAME), "does not exist"),
        (Zone(), "has no IPv4 address"),
        (Zone(("::1",)), "has no IPv4 address"),
        (Zone(code=SERVER_FAILURE), "name servers"),
    ],
    ids=["unknown", "empty", "other version", "server failure"],
)
async def test_name_without_an_address_fails_with_its_reason(ask, zone, says):
    name = f"{says.replace(' ', '-')}-{zone.code}-{len(zone.addresses)}.example".lower()

    outcome = await ask(name, zone)

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.DNS
    assert says in outcome.message
    assert known(outcome.timings.dns_us) > 0


async def test_ip_version_chooses_between_the_addresses(
    ask, servers, name_server, curl_engine
):
    port = servers.serve(answering(OK), host="::1")
    name_server.zones["both.example"] = Zone(("127.0.0.1", "::1"))
    probe = Probe(f"http://both.example:{port}/", ip_version=IPVersion.V6)

    outcome = await curl_engine.probe(probe)

    assert isinstance(outcome, ProbeResponse), outcome
    assert outcome.remote_address == "::1"


@pytest.mark.parametrize(("host", "version"), [("127.0.0.1", "6"), ("[::1]", "4")])
async def test_literal_of_the_other_ip_version_fails(engine, host, version):
    probe = Probe(f"http://{host}/", ip_version=IPVersion(version))

    outcome = await engine.probe(probe)

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.DNS
    assert f"is not an IPv{version} address" in outcome.message


async def test_next_address_is_tried_when_the_first_refuses(ask):
    outcome = await ask("two.example", Zone(("127.0.0.99", "127.0.0.1")))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.remote_address == "127.0.0.1"


async def test_next_address_is_tried_when_the_first_stalls_in_its_handshake(
    curl_engine, servers, name_server, shop
):
    port = servers.serve(silent, host="127.0.0.1")
    servers.serve(
        answering(OK), host="127.0.0.2", port=port, tls=shop.context("wildcard of two")
    )
    name_server.zones["stalling.two.example"] = Zone(("127.0.0.1", "127.0.0.2"))
    url = f"https://stalling.two.example:{port}/"

    outcome = await curl_engine.probe(Probe(url, timeout=timedelta(seconds=2)))

    assert isinstance(outcome, ProbeResponse), outcome
    assert outcome.remote_address == "127.0.0.2"
    assert known(outcome.timings.total_us) > 900_000


async def test_refusal_of_the_last_address_is_what_is_told(ask):
    outcome = await ask("dead.example", Zone(("127.0.0.98", "127.0.0.99")))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.CONNECT
    assert outcome.remote_address == "127.0.0.99"


async def test_two_hundred_addresses_are_no_reason_to_try_them_all(ask):
    zone = Zone(tuple(f"127.0.1.{last}" for last in range(1, 29)))

    outcome = await ask("many.example", zone)

    assert isinstance(outcome, ProbeFailure)
    assert outcome.remote_address == "127.0.1.4"


async def test_name_of_a_metadata_address_is_refused(ask):
    outcome = await ask("metadata.example", Zone(("169.254.169.254",)))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.REFUSED
    assert "metadata" in outcome.message


async def test_metadata_address_among_others_is_never_tried(ask):
    zone = Zone(("169.254.169.254", "127.0.0.1"))

    outcome = await ask("mixed.example", zone)

    assert isinstance(outcome, ProbeResponse)
    assert outcome.remote_address == "127.0.0.1"


async def test_name_that_rebinds_is_judged_by_what_it_stands_for_now(ask):
    first = await ask("rebinding.example", Zone(("127.0.0.1",), ttl=0))
    second = await ask("rebinding.example", Zone(("169.254.169.254",), ttl=0))

    assert isinstance(first, ProbeResponse)
    assert isinstance(second, ProbeFailure)
    assert second.kind is FailureKind.REFUSED


async def test_dead_name_server_ends_with_the_deadline(ask):
    outcome = await ask(
        "silent.example", Zone(is_silent=True), timeout=timedelta(seconds=1)
    )

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.TIMEOUT
    assert outcome.message == "The address of silent.example was not found within 1 s."
    assert 900_000 < known(outcome.timings.total_us) < 1_500_000


async def test_names_on_a_dead_name_server_do_not_hold_up_others(ask, curl_engine):
    silent = [
        asyncio.create_task(
            ask(
                f"silent{n}.example", Zone(is_silent=True), timeout=timedelta(seconds=2)
            )
        )
        for n in range(200)
    ]
    others = [
        await ask(
            f"lively{n}.example", Zone(("127.0.0.1",)), timeout=timedelta(seconds=2)
        )
        for n in range(20)
    ]

    for outcome in others:
        assert isinstance(outcome, ProbeResponse)
        assert known(outcome.timings.dns_us) - outcome.timings.timing_error_us < 500_000
    for outcome in await asyncio.gather(*silent):
        assert isinstance(outcome, ProbeFailure)
        assert outcome.kind is FailureKind.TIMEOUT


@pytest.mark.parametrize(
    ("is_of_website", "kind"),
    [(False, FailureKind.INTERNAL), (True, FailureKind.DNS)],
)
async def test_name_server_that_cannot_be_reached_says_nothing_of_the_name(
    make_curl_engine, is_of_website, kind
):
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{taken.getsockname()[1]}"
    engine = await make_curl_engine(name_servers=(server,))
    options = ProbeOptions(name_server=server if is_of_website else None)

    outcome = await engine.probe(Probe("http://a.example/", options=options))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is kind
    assert outcome.message == (
        "The name servers did not answer when asked for a.example."
    )
