"""Links that need no login: what they allow stands under a signature."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from argos.core.severity import Severity
from argos.errors import LinkExpired, LinkForged
from argos.server.services.notice import notice_of
from argos.server.services.signed_link import LIFETIME, Acknowledging, LinkSigner
from argos.server.services.wording import Wording
from tests.server.services.test_notice import delivery

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
SIGNER = LinkSigner(b"a key")
WISH = Acknowledging(3, "mail:é&@argos.example", NOON + timedelta(days=7))


def read(query: str, *, now=NOON, incident_id=3, **changes):
    values = {name: value for name, (value,) in parse_qs(query).items()} | changes
    return SIGNER.read(
        incident_id=incident_id,
        until=int(values["until"]),
        to=values["to"],
        sign=values["sign"],
        now=now,
    )


def test_what_was_signed_is_read_again():
    assert read(SIGNER.query(WISH)) == WISH


@pytest.mark.parametrize(
    "changes",
    [
        {"to": "mail:b@argos.example"},
        {"until": "4000000000"},
        {"incident_id": 4},
        {"sign": ""},
        {"sign": "é"},
    ],
)
def test_what_was_changed_is_refused(changes):
    with pytest.raises(LinkForged):
        read(SIGNER.query(WISH), **changes)


def test_another_installation_signs_otherwise():
    with pytest.raises(LinkForged):
        read(LinkSigner(b"another key").query(WISH))


def test_a_link_expires():
    query = SIGNER.query(WISH)

    assert read(query, now=WISH.expires_at) == WISH
    with pytest.raises(LinkExpired):
        read(query, now=WISH.expires_at + timedelta(seconds=1))


def link_of(recipient="mail:a@argos.example", base="https://argos.example", **changes):
    wording = Wording(base_url=base, signer=SIGNER)
    return notice_of(delivery(recipient=recipient, **changes), wording).acknowledge_url


def test_a_notice_has_a_link_for_its_recipient():
    link = link_of()

    assert link is not None
    assert urlsplit(link).path == "/acknowledge/3"
    wish = read(urlsplit(link).query)
    # No address, which pages would show.
    assert wish == Acknowledging(3, "mail", NOON + LIFETIME)
    assert link == link_of()


def test_a_link_in_what_was_kept_back_for_long_is_as_good_as_any():
    told_at = NOON + timedelta(days=30)

    link = link_of(at=NOON, created_at=told_at)

    assert link is not None
    assert read(urlsplit(link).query).expires_at == told_at + LIFETIME


def test_there_is_no_link_where_it_would_lead_nowhere_or_too_far():
    assert link_of(base=None) is None
    assert link_of(recipient="local") is None
    assert link_of(severity=Severity.OK) is None
