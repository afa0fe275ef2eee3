"""What an agent may not be made to fetch, whichever engine it has."""

import pytest

from argos.agent.engine.address import Policy
from argos.core.probe import (
    FailureKind,
    IPVersion,
    Probe,
    ProbeFailure,
    ProbeResponse,
)
from tests.agent.engine.name_server import Zone

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def refusal(engine, url: str) -> str:
    """Why a URL is refused; it must be."""
    version = IPVersion.V6 if "[" in url else IPVersion.V4
    outcome = await engine.probe(Probe(url, ip_version=version))
    assert isinstance(outcome, ProbeFailure), url
    assert outcome.kind is FailureKind.REFUSED, outcome
    return outcome.message


async def test_s50_a_name_is_judged_by_what_it_leads_to_each_time(
    make_curl_engine, name_server, healthy_ports
):
    policy = Policy.from_texts(public_only=True, allow=["127.0.0.1/32"])
    engine = await make_curl_engine(policy=policy)
    url = f"http://turning.example:{healthy_ports['http']}/"

    name_server.zones["turning.example"] = Zone(("127.0.0.1",), ttl=0)
    first = await engine.probe(Probe(url))
    name_server.zones["turning.example"] = Zone(("127.0.0.2",), ttl=0)
    second = await refusal(engine, url)

    assert isinstance(first, ProbeResponse)
    assert second == "This agent may not: 127.0.0.2 is not a public address."


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "100.100.100.200", "192.0.0.192"),
        *("[fd00:ec2::254]", "[fe80::1]", "[::ffff:169.254.169.254]"),
    ],
)
async def test_s51_metadata_stays_closed_behind_any_wide_network(make_engines, address):
    for wide in (["0.0.0.0/0", "::/0"], ["169.254.0.0/16", "fe80::/10"]):
        policy = Policy.from_texts(allow=wide)
        for engine in await make_engines(policy=policy):
            words = await refusal(engine, f"http://{address}/latest/meta-data/")
            assert "metadata or link-local" in words


@pytest.mark.parametrize(
    "host",
    [
        *("192.88.99.1", "224.0.0.1", "100.64.0.1", "0.0.0.0", "255.255.255.255"),
        *("[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[2002:7f00:1::]"),
        *("[64:ff9b::7f00:1]", "[2001:0:a00:1::1]", "[fec0::1]", "[::]", "[ff02::1]"),
    ],
)
async def test_s52_wrapped_and_special_addresses_are_not_public(make_engines, host):
    for engine in await make_engines(policy=Policy(public_only=True)):
        assert "is not a public address" in await refusal(engine, f"http://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://0x7f.1/",
            "http://017700000001/",
            "http://127.1/",
            "http://2130706433/",
        ),
        *("file:///etc/passwd", "gopher://127.0.0.1/", "dict://127.0.0.1:11211/"),
        *("http://127.0.0.1:0/", "http://[::1%25lo]/", "http://127.0.0.1\\@a.example/"),
    ],
)
async def test_s53_odd_numbers_and_other_schemes_are_refused(engine, url):
    assert await refusal(engine, url)


@pytest.mark.parametrize("port", [22, 25, 5432, 6379, 11211, 2375])
async def test_s53_ports_of_other_services_are_closed_in_public_mode(
    make_engines, port
):
    for engine in await make_engines(policy=Policy(public_only=True)):
        words = await refusal(engine, f"http://8.8.8.8:{port}/")
        assert f"port {port} is not for websites" in words
