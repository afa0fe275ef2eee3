"""Each hostile server has its outcome, and healthy websites beside it keep theirs."""

import asyncio

import pytest

from argos.agent.engine.interface import ProbeEngine
from argos.core.probe import Outcome, Probe, ProbeResponse
from tests.agent.engine.certificates import CertificateShop
from tests.agent.engine.servers import ServerThread
from tests.agent.engine.zoo import CAP, MEMBERS, Member

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="session")
def ports(servers: ServerThread, shop: CertificateShop) -> dict[str, int]:
    """The port of each member."""
    return {
        name: servers.serve(
            member.behave, tls=member.certificate and shop.context(member.certificate)
        )
        for name, member in MEMBERS.items()
    }


def probe_of(member: Member, port: int) -> Probe:
    url = f"{member.scheme}://localhost:{port}/"
    return Probe(url, max_body_bytes=CAP, **member.probe)


@pytest.mark.parametrize("name", MEMBERS)
async def test_member_has_its_outcome_and_healthy_websites_keep_theirs(
    name, engine: ProbeEngine, ports, healthy_ports
):
    member = MEMBERS[name]
    probe = probe_of(member, ports[name])
    healthy = [Probe(f"{scheme}://localhost:{port}/") for scheme, port in healthy_ports.items()]

    async with asyncio.timeout(probe.timeout.total_seconds() + 3):
        outcome, *others = await asyncio.gather(engine.probe(probe), *map(engine.probe, healthy))

    check = member.expects if engine.name == "curl" else member.expects_of_httpx
    check(outcome)
    for other in others:
        assert isinstance(other, ProbeResponse)
        assert other.body == b"ok"
