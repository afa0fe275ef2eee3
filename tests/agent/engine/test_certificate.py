"""Reading libcurl's certificates, and saying what is wrong with them."""

from datetime import UTC, datetime, timedelta

import pytest

from argos.agent.engine.certificate import (
    MAX_NAMES,
    describe_fault,
    fault_code,
    read_certificate,
)
from argos.core.probe import Certificate

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)

FIELDS = {
    b"Subject": b"CN = example.org",
    b"Issuer": b"C = XX, O = Authority",
    b"Start date": b"Jun  1 00:00:00 2026 GMT",
    b"Expire date": b"Aug 30 23:59:59 2026 GMT",
    b"X509v3 Subject Alternative Name": b"DNS:example.org, IP Address:192.0.2.1",
}


def read(**changes: bytes | None) -> Certificate | None:
    fields = {**FIELDS}
    for key, value in changes.items():
        name = key.replace("_", " ").encode()
        if value is None:
            del fields[name]
        else:
            fields[name] = value
    return read_certificate(list(fields.items()))


def certificate(not_before=-DAY, not_after=DAY, names=("example.org",)) -> Certificate:
    return Certificate(NOW + not_before, NOW + not_after, "CN = a", "CN = b", names)


def test_facts_are_read():
    assert read() == Certificate(
        not_before=datetime(2026, 6, 1, tzinfo=UTC),
        not_after=datetime(2026, 8, 30, 23, 59, 59, tzinfo=UTC),
        subject="CN = example.org",
        issuer="C = XX, O = Authority",
        names=("example.org", "192.0.2.1"),
    )


@pytest.mark.parametrize(
    "date",
    [
        b"",
        b"Bad time value",
        b"Foo  1 00:00:00 2026 GMT",
        b"Feb 30 00:00:00 2026 GMT",
        b"Jun  1 00:00 2026 GMT",
        b"\xff",
    ],
)
def test_certificate_with_senseless_dates_is_none(date):
    assert read_certificate([*FIELDS.items(), (b"Expire date", date)]) is None


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        (b"Dec 31 23:59:59 9999 GMT", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (b"Jan  1 00:00:00 1950 GMT", datetime(1950, 1, 1, tzinfo=UTC)),
        (b"Jun  1 00:00:00.5 2026 GMT", datetime(2026, 6, 1, tzinfo=UTC)),
        (b"Jun  1 00:00:60 2026 GMT", datetime(2026, 6, 1, 0, 0, 59, tzinfo=UTC)),
    ],
)
def test_unusual_dates_are_read(date, expected):
    found = read_certificate([*FIELDS.items(), (b"Expire date", date)])

    assert found is not None
    assert found.not_after == expected


def test_text_of_any_bytes_is_shown_harmless_and_short():
    found = read_certificate([
        *FIELDS.items(),
        (b"Subject", b"CN = \x1b[31m\xff" + b"a" * 999),
    ])

    assert found is not None
    assert found.subject.isprintable()
    assert len(found.subject) == 256


def test_names_of_other_kinds_and_too_many_are_left_out():
    names = b", ".join([
        b"email:a@example.org",
        *[b"DNS:a%d.example" % i for i in range(999)],
    ])

    found = read_certificate([
        *FIELDS.items(),
        (b"X509v3 Subject Alternative Name", names),
    ])

    assert found is not None
    assert len(found.names) == MAX_NAMES
    assert found.names[0] == "a0.example"


@pytest.mark.parametrize(
    ("code", "shown", "fault"),
    [
        (10, certificate(not_after=-3 * DAY), "expired 3 days ago"),
        (10, certificate(not_after=-DAY), "expired 1 day ago"),
        (10, certificate(not_after=-DAY / 2), "expired less than a day ago"),
        (10, certificate(), "signed by an authority whose own certificate is expired"),
        (10, None, "expired"),
        (9, certificate(not_before=2 * DAY), "not valid for another 2 days"),
        (9, None, "not valid yet"),
        (18, certificate(), "self-signed"),
        (18, certificate(not_after=-5 * DAY), "self-signed and expired 5 days ago"),
        (19, certificate(), "signed by an unknown authority"),
        (66, certificate(), "of too small a key"),
        (79, certificate(), "signed by a certificate that is not an authority's"),
        (47, certificate(), "for a host that its authority must not vouch for"),
        (999, certificate(), "faulty (OpenSSL's code 999)"),
        (
            0,
            certificate(names=("wanted.example",)),
            "for wanted.example as a name, not as an address",
        ),
        (0, certificate(names=("a.example",)), "for a.example, not for wanted.example"),
        (0, certificate(names=()), "not for wanted.example"),
        (0, None, "not for wanted.example"),
        (
            0,
            certificate(names=("a", "b", "c", "d", "e")),
            "for a, b, c and 2 more, not for wanted.example",
        ),
        (
            0,
            certificate(not_after=-2 * DAY, names=("a",)),
            "for a, not for wanted.example and expired 2 days ago",
        ),
    ],
)
def test_fault_is_told_in_a_few_words(code, shown, fault):
    assert describe_fault(code, shown, host="wanted.example", now=NOW) == fault


@pytest.mark.parametrize(
    ("code", "shown", "expected"),
    [
        (18, certificate(not_after=-DAY), 18),
        (0, certificate(), 0),
        (0, certificate(not_after=-DAY), 10),
        (0, certificate(not_before=DAY / 2), 9),
    ],
)
def test_code_tells_of_the_dates_when_openssl_was_not_asked(code, shown, expected):
    assert fault_code(code, shown, NOW) == expected
