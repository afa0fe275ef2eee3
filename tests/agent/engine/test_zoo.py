"""Each hostile server has its outcome, and healthy websites beside it keep theirs."""

import asyncio
import ssl
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from argos.agent.engine.interface import ProbeEngine
from argos.core.probe import FailureKind, Outcome, Probe, ProbeResponse
from tests.agent.engine.certificates import CertificateShop
from tests.agent.engine.name_server import NameServer
from tests.agent.engine.servers import ServerThread
from tests.agent.engine.zoo import CAP, MEMBERS, Member

HEALTHY = 1_000
"""Probes of healthy websites beside the whole zoo."""
PATIENCE_US = 5_000_000
"""For an answer beside the zoo; the servers of both are threads of this process."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="session")
def ports(
    servers: ServerThread, shop: CertificateShop, name_server: NameServer
) -> dict[str, int]:
    """The port of each member."""
    for member in MEMBERS.values():
        if member.zone is not None:
            name_server.zones[str(urlsplit(member.url).hostname)] = member.zone
    return {
        name: servers.serve(member.behave, host=member.host, tls=_context(shop, member))
        for name, member in MEMBERS.items()
    }


def _context(shop: CertificateShop, member: Member) -> ssl.SSLContext | None:
    if member.certificate is None:
        return None
    context = shop.context(member.certificate)
    if member.tune is not None:
        member.tune(context)
    return context


def probe_of(member: Member, port: int) -> Probe:
    return Probe(member.url_at(port), max_body_bytes=CAP, **member.probe)


async def judge(
    member: Member, engine: ProbeEngine, port: int, healthy_ports: dict[str, int]
) -> None:
    """Probe a member beside healthy websites; each must have its own outcome."""
    probe = probe_of(member, port)
    healthy = [
        Probe(f"{scheme}://localhost:{port}/") for scheme, port in healthy_ports.items()
    ]

    async with asyncio.timeout(probe.timeout.total_seconds() + 3):
        outcome, *others = await asyncio.gather(
            engine.probe(probe), *map(engine.probe, healthy)
        )

    check = member.expects if engine.name == "curl" else member.expects_of_httpx
    check(outcome)
    for other in others:
        assert isinstance(other, ProbeResponse)
        assert other.body == b"ok"


@pytest.mark.parametrize("name", [n for n, m in MEMBERS.items() if m.zone is None])
async def test_member_has_its_outcome_and_healthy_websites_keep_theirs(
    name, engine: ProbeEngine, ports, healthy_ports
):
    await judge(MEMBERS[name], engine, ports[name], healthy_ports)


# A dot in the path is libcurl's to take out: these go through it.
@pytest.mark.parametrize(
    "name",
    [n for n, m in MEMBERS.items() if m.scheme == "http" and m.url == Member.url],
)
async def test_member_has_its_outcome_from_libcurl_as_well(
    name, curl_engine, ports, healthy_ports
):
    member = replace(MEMBERS[name], url=f"{Member.url}./")
    await judge(member, curl_engine, ports[name], healthy_ports)


# The other engine asks the system's name servers, and cannot be told of ours.
@pytest.mark.parametrize("name", [n for n, m in MEMBERS.items() if m.zone is not None])
async def test_name_has_its_outcome_and_healthy_websites_keep_theirs(
    name, curl_engine, ports, healthy_ports
):
    await judge(MEMBERS[name], curl_engine, ports[name], healthy_ports)


def shown(outcome: Outcome) -> tuple[object, ...]:
    """What a website showed, without what differs from probe to probe."""
    assert isinstance(outcome, ProbeResponse), outcome
    return (
        outcome.status_code,
        outcome.headers,
        outcome.body,
        outcome.body_is_cut,
        outcome.certificate,
        outcome.http_version,
    )


async def test_whole_zoo_at_once_does_not_falsify_healthy_websites(
    curl_engine, ports, healthy_ports
):
    hostile = [probe_of(member, ports[name]) for name, member in MEMBERS.items()]
    websites = [
        Probe(f"{scheme}://localhost:{port}/") for scheme, port in healthy_ports.items()
    ]
    alone = [shown(await curl_engine.probe(probe)) for probe in websites]
    times = HEALTHY // len(websites)
    healthy = websites * times

    outcomes = await asyncio.gather(*map(curl_engine.probe, hostile + healthy))

    assert curl_engine.restarts == 0
    beside = outcomes[len(hostile) :]
    assert [shown(outcome) for outcome in beside] == alone * times
    for outcome in beside:
        assert outcome.timings.total_us is not None
        # What is beyond the loop's own stalls is blamed on the website.
        own = outcome.timings.total_us - outcome.timings.timing_error_us
        assert own < PATIENCE_US
    for member, outcome in zip(MEMBERS.values(), outcomes, strict=False):
        assert getattr(outcome, "kind", None) is not FailureKind.INTERNAL, outcome
        # Names have one name server here: its garbage may answer for its silence.
        if member.zone is None:
            member.expects(outcome)
