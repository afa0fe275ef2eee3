"""Which addresses may be probed, whatever they are wrapped in."""

from ipaddress import ip_address

import pytest

from argos.agent.engine.address import (
    Policy,
    embedded_addresses,
    is_public,
    read_address,
)

METADATA = [
    "169.254.169.254",
    "169.254.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "fe80::1",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe::1",  # Teredo: the server
    "2001:0:808:808:0:0:5601:5601",  # Teredo: the client, inverted
    "2001:db8::5efe:a9fe:a9fe",  # ISATAP
    "2001:db8::200:5efe:a9fe:a9fe",
    "64:ff9b::192.0.0.192",
]

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::808:808",
    "100::1",
    "2001:db8::1",
    "2001:10::1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12::1",
    "fec0::1",
    "ff02::1",
]

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "198.17.255.255",
    "198.20.0.1",
    "223.255.255.255",
    "2606:4700::1",
    "2a00:1450::1",
    "64:ff9b::808:808",
    "2002:808:808::1",
]


@pytest.mark.parametrize("text", METADATA)
def test_metadata_address_is_refused_by_default(text):
    refusal = Policy().refusal(ip_address(text), 80)

    assert refusal is not None
    assert "metadata or link-local" in refusal


@pytest.mark.parametrize("text", [*PUBLIC, *NOT_PUBLIC])
def test_any_other_address_may_be_probed_by_default(text):
    assert Policy().refusal(ip_address(text), 22) is None


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_address_that_is_not_public_is_refused_in_public_mode(text):
    assert Policy(public_only=True).refusal(ip_address(text), 443) is not None


@pytest.mark.parametrize("text", PUBLIC)
def test_public_address_may_be_probed_in_public_mode(text):
    assert Policy(public_only=True).refusal(ip_address(text), 443) is None


def test_whole_multicast_and_reserved_space_is_not_public():
    for first in range(224, 256):
        assert not is_public(ip_address(f"{first}.1.2.3"))


@pytest.mark.parametrize("port", [22, 25, 5432, 6379, 11211])
def test_ports_of_other_services_are_refused_in_public_mode(port):
    refusal = Policy(public_only=True).refusal(ip_address("8.8.8.8"), port)

    assert refusal == f"port {port} is not for websites"


def test_allowed_network_is_an_exception_to_public_mode():
    policy = Policy.from_texts(allow=["10.0.0.0/8"], public_only=True)

    assert policy.refusal(ip_address("10.1.2.3"), 8080) is None
    assert policy.refusal(ip_address("192.168.1.1"), 8080) is not None


def test_allowed_network_opens_no_other_address_that_is_wrapped_around_it():
    policy = Policy.from_texts(allow=["64:ff9b::/96"], public_only=True)

    assert policy.refusal(ip_address("64:ff9b::7f00:1"), 443) is not None


def test_metadata_address_is_open_only_to_who_names_it_alone():
    address = ip_address("169.254.169.254")
    broad = Policy.from_texts(allow=["169.254.0.0/16", "0.0.0.0/0"])
    exact = Policy.from_texts(allow=["169.254.169.254/32"])

    assert broad.refusal(address, 80) is not None
    assert exact.refusal(address, 80) is None


@pytest.mark.parametrize("text", ["10.1.2.3", "::ffff:10.1.2.3", "2002:a01:203::1"])
def test_denied_network_stays_denied_however_it_is_wrapped_or_allowed(text):
    policy = Policy.from_texts(allow=["10.1.2.3/32", "::/0"], deny=["10.0.0.0/8"])

    refusal = policy.refusal(ip_address(text), 80)

    assert refusal is not None
    assert "denied" in refusal


@pytest.mark.parametrize("text", ["10.0.0.1/8", "nonsense", "10.0.0.0/33"])
def test_policy_refuses_what_is_not_a_network(text):
    with pytest.raises(ValueError, match=r".+"):
        Policy.from_texts(deny=[text])


def test_loopback_and_unspecified_carry_no_address():
    assert embedded_addresses(ip_address("::1")) == ()
    assert embedded_addresses(ip_address("::")) == ()
    assert embedded_addresses(ip_address("127.0.0.1")) == ()


@pytest.mark.parametrize(
    "text", ["", "example.org", "127.1", "0177.0.0.1", "1.2.3.04", "fe80::1%eth0", "1"]
)
def test_odd_spelling_is_not_an_address(text):
    assert read_address(text) is None
