"""Certificates in DER, against another reader of them, and whatever else may come."""

import struct

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, strategies as st

from argos.agent.engine.certificate import read_certificate, read_tapped
from argos.agent.engine.der import (
    MAX_CERTIFICATES,
    DerError,
    read_fields,
    read_key,
    split_message,
)


def load(pem: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem[pem.index(b"-----BEGIN CERTIFICATE") :])


def encode(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def message(ders: list[bytes], *, is_newer: bool) -> bytes:
    """TLS's message of that name, as version 1.2 or 1.3 has it."""
    entries = b"".join(
        struct.pack("!I", len(der))[1:] + der + (b"\0\0" if is_newer else b"")
        for der in ders
    )
    body = (b"\0" if is_newer else b"") + struct.pack("!I", len(entries))[1:] + entries
    return b"\x0b" + struct.pack("!I", len(body))[1:] + body


@pytest.mark.parametrize(
    ("recipe", "key"),
    [
        ("good", "EC P-256"),
        ("expired", "EC P-256"),
        ("with an intermediate", "EC P-256"),
        ("RSA of 1024 bits", "RSA 1024"),
        ("valid into 2049", "EC P-256"),
        ("valid into 2050", "EC P-256"),
        ("valid to the end of time", "EC P-256"),
        ("empty subject", "EC P-256"),
        ("no alternative names", "EC P-256"),
        ("1,000 names", "EC P-256"),
    ],
)
def test_fields_are_those_that_another_reader_finds(shop, recipe, key):
    shop.context(recipe)
    path = shop.folder / f"{recipe.replace(' ', '-')}.pem"
    (leaf, *_) = load(path.read_bytes())

    found = read_certificate([*read_fields(encode(leaf)), (b"Key", key.encode())])

    assert found is not None
    assert found.not_before == leaf.not_valid_before_utc.replace(microsecond=0)
    assert found.not_after == leaf.not_valid_after_utc.replace(microsecond=0)
    assert read_key(encode(leaf)) == key
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        assert found.names == ()
    else:
        names = extension.value.get_values_for_type(x509.DNSName)
        dns = [name for name in found.names if "." in name or name == "localhost"]
        assert [name for name in dns if name != "127.0.0.1"] == names[: len(dns) - 1]


@pytest.mark.parametrize("is_newer", [False, True])
def test_the_chain_is_found_in_the_message_of_both_versions(shop, is_newer):
    ders = [
        encode(each) for each in load(shop.issue_from_intermediate(with_chain=True))
    ]

    assert split_message(message(ders, is_newer=is_newer)) == ders
    read = read_tapped(ders)
    assert read is not None
    assert not read.is_verified
    assert len(read.chain) == len(ders) - 1


def test_no_chain_is_longer_than_is_of_use():
    found = split_message(message([b"x"] * 500, is_newer=True))

    assert len(found) == MAX_CERTIFICATES


@given(st.binary(max_size=300))
def test_rubbish_is_no_certificate(data):
    with pytest.raises(DerError):
        read_fields(data)
    assert read_key(data) == ""
    assert read_tapped([data]) is None
    split_message(data)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_certificate_with_a_wrong_byte_gives_no_other_error(place, byte):
    der = bytearray(_SAMPLE)
    der[place % len(der)] = byte

    read_key(bytes(der))
    read_tapped([bytes(der)])
    read_tapped([bytes(der[: place % len(der)])])


def _sample() -> bytes:
    import trustme

    pem = trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert("a.example", "::1")
    return encode(load(pem.cert_chain_pems[0].bytes())[0])


_SAMPLE = _sample()
