"""Taking care of an incident by the link of a message, without a login."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from argos.server.models import Incident
from argos.server.services.signed_link import Acknowledging, LinkSigner


@pytest.fixture
def incident_id(seeded) -> int:
    """An open incident of the demonstration."""
    with seeded.reading() as session:
        found: int | None = session.scalar(
            select(Incident.id).where(Incident.closed_at.is_(None)).limit(1)
        )
    assert found is not None
    return found


@pytest.fixture
def link(config, incident_id, now) -> str:
    wish = Acknowledging(incident_id, "mail", now + timedelta(days=1))
    return f"/acknowledge/{incident_id}?{LinkSigner.of(config).query(wish)}"


def taken_by(database, incident_id):
    with database.reading() as session:
        return session.get_one(Incident, incident_id).acknowledged_by


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_the_page_asks_and_only_the_form_takes_care(
    stranger, seeded, incident_id, link
):
    page = stranger.get(link)
    assert page.status_code == 200
    assert "Take care of it" in page.text
    assert taken_by(seeded, incident_id) is None

    answer = stranger.post(link, data={"csrf": csrf_of(page.text)})
    assert answer.status_code == 303
    assert taken_by(seeded, incident_id) == "Somebody told by mail"
    after = stranger.get(answer.headers["location"]).text
    assert "Somebody told by mail takes care of it" in after
    assert "<button>" not in after


def test_a_form_from_elsewhere_is_refused(stranger, seeded, incident_id, link):
    assert stranger.post(link, data={"csrf": "wrong"}).status_code == 403
    assert taken_by(seeded, incident_id) is None


def test_a_forged_link_is_refused(stranger, link):
    answer = stranger.get(link.replace("to=mail", "to=gotify"))

    assert answer.status_code == 403
    assert "not as it was sent" in answer.text


def test_an_expired_link_says_so(stranger, config, incident_id, now):
    wish = Acknowledging(incident_id, "mail", now - timedelta(days=1))

    answer = stranger.get(
        f"/acknowledge/{incident_id}?{LinkSigner.of(config).query(wish)}"
    )

    assert answer.status_code == 410
    assert "expired" in answer.text


@pytest.mark.parametrize("until", [2**37, 2**40, -1])
def test_a_moment_that_nobody_signed_is_no_error_of_ours(stranger, incident_id, until):
    answer = stranger.get(f"/acknowledge/{incident_id}?until={until}&to=mail&sign=x")

    assert answer.status_code in {403, 422}


def test_who_took_care_only_for_a_while_may_be_followed_by_others(
    stranger, seeded, incident_id, link, now
):
    with seeded.transaction() as session:
        session.execute(
            update(Incident)
            .where(Incident.id == incident_id)
            .values(
                acknowledged_by="ada",
                acknowledged_at=now - timedelta(hours=2),
                acknowledged_until=now - timedelta(hours=1),
            )
        )

    assert "<button>Take care of it" in stranger.get(link).text


def test_what_is_over_needs_nobody(stranger, seeded, incident_id, link, now):
    with seeded.transaction() as session:
        session.execute(
            update(Incident).where(Incident.id == incident_id).values(closed_at=now)
        )

    page = stranger.get(link).text

    assert "It is over" in page
    assert "<button>" not in page


def test_an_incident_that_is_gone_is_told(stranger, config, now):
    wish = Acknowledging(999_999, "mail", now + timedelta(days=1))

    answer = stranger.get(f"/acknowledge/999999?{LinkSigner.of(config).query(wish)}")

    assert answer.status_code == 404
