"""Probes, outcomes and settings cross to a worker and back unchanged."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pytest
from hypothesis import given, strategies as st

from argos.agent.engine.address import Policy
from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.wire import (
    FrameReader,
    outcome_from_item,
    outcome_to_item,
    pack,
    probe_from_item,
    probe_to_item,
    settings_from_item,
    settings_to_item,
)
from argos.core.headers import HeaderFields
from argos.core.options import (
    ClientCertificate,
    HTTPVersion,
    ProbeOptions,
    TLSVersion,
)
from argos.core.probe import (
    Certificate,
    ChainCertificate,
    Details,
    FailureKind,
    Handshake,
    IPVersion,
    Probe,
    ProbeFailure,
    ProbeResponse,
    Timings,
)

CERTIFICATE = Certificate(
    not_before=datetime(1950, 1, 1, tzinfo=UTC),
    not_after=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    subject="CN = a",
    issuer="",
    names=("a", "b"),
    fault="self-signed",
    fault_code=18,
)

OUTCOMES = [
    ProbeResponse(204),
    ProbeResponse(
        status_code=200,
        headers=(("a", "b"), ("a", "é")),
        body=b"\x00\xff",
        body_is_cut=True,
        timings=Timings(1, 2, 3, 4, 5, 6, 7),
        certificate=CERTIFICATE,
        remote_address="::1",
        http_version="1.1",
    ),
    ProbeResponse(200, headers=HeaderFields(b"HTTP/1.1 200 OK\r\nA: \xe9\r\n\r\n")),
    ProbeFailure(FailureKind.DNS, "No."),
    ProbeFailure(
        FailureKind.REDIRECT,
        "No.",
        certificate=Certificate(
            not_before=datetime(2026, 1, 1, tzinfo=UTC),
            not_after=datetime(2027, 1, 1, tzinfo=UTC),
            subject="CN = a",
            issuer="CN = b",
            is_verified=False,
            key="RSA 2048",
            signature="sha256WithRSAEncryption",
            chain=(
                ChainCertificate(datetime(2030, 1, 1, tzinfo=UTC), "CN = b", "CN = c"),
            ),
        ),
        details=Details(
            addresses=("192.0.2.1", "::1"),
            hops=("http://a/", "https://b/"),
            handshake=Handshake("TLSv1.3", "A"),
            by_address=(ProbeResponse(200), ProbeFailure(FailureKind.DNS, "No.")),
        ),
    ),
    ProbeFailure(
        FailureKind.CERTIFICATE,
        "No.",
        timings=Timings(total_us=5),
        certificate=CERTIFICATE,
        remote_address="192.0.2.1",
    ),
]


def over_the_wire(item):
    (received,) = FrameReader().feed(pack([item]))
    return received


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_outcome_arrives_as_it_was(outcome):
    item = over_the_wire(outcome_to_item(7, outcome))

    assert item[0] == 7
    assert outcome_from_item(item) == outcome


def test_probe_arrives_as_it_was():
    probe = Probe(
        url="https://example.org/",
        method="POST",
        ip_version=IPVersion.V6,
        headers={"A": "b"},
        body=b"\x00",
        timeout=timedelta(milliseconds=1500),
        max_body_bytes=10,
        wants_certificate=False,
        options=ProbeOptions(
            http_version=HTTPVersion.V3,
            follow=2,
            tls_min=TLSVersion.V1_0,
            authorization="Bearer a",
            client_certificate=ClientCertificate("/a", password="b"),
            proxy="http://192.0.2.1:8080",
            name_server="9.9.9.9",
            all_addresses=True,
        ),
    )

    assert probe_from_item(over_the_wire(probe_to_item(1, probe))) == (1, probe)


def test_strings_of_other_classes_arrive_as_strings():
    class Method(StrEnum):
        PUT = "PUT"

    probe = Probe("http://example.org/", method=Method.PUT, headers={"a": Method.PUT})

    _, received = probe_from_item(over_the_wire(probe_to_item(1, probe)))

    assert type(received.method) is str
    assert received.headers == {"a": "PUT"}


def test_settings_arrive_as_they_were():
    settings = EngineSettings(
        workers=3,
        slots=10,
        ca_file="/a",
        user_agent_suffix=" x",
        policy=Policy.from_texts(allow=["10.0.0.0/8"], deny=["::/8"], public_only=True),
        name_servers=("127.0.0.1:53",),
    )

    assert settings_from_item(over_the_wire(settings_to_item(settings))) == settings


@given(
    st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=50)), max_size=20),
    st.integers(1, 40),
)
def test_frames_arrive_whole_however_they_are_cut(items, step):
    stream = b"".join(pack([item]) for item in items) + pack(items)
    reader = FrameReader()

    received = [
        item
        for start in range(0, len(stream), step)
        for item in reader.feed(stream[start : start + step])
    ]

    assert received == items * 2


def test_wire_carries_data_and_no_objects():
    class Evil:
        def __reduce__(self):
            return print, ("executed",)

    with pytest.raises(ValueError, match="unmarshallable"):
        pack([(Evil(),)])
