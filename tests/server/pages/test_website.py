import re
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from argos.core.severity import Severity
from argos.server.database import Database
from argos.server.models import Schedule, Task, Website
from argos.server.queries.incident_list import IncidentRow
from argos.server.routes.pages.rows import group_incidents

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def incident(
    id_: int,
    begin: float,
    end: float | None = None,
    *,
    host: str = "a.example",
    severity: Severity = Severity.CRITICAL,
) -> IncidentRow:
    """Begin and end in minutes before noon."""
    return IncidentRow(
        id=id_,
        task_id=id_,
        host=host,
        url=f"https://{host}/",
        check="status-is",
        ip_version="4",
        severity=severity,
        opened_at=NOON - timedelta(minutes=begin),
        closed_at=None if end is None else NOON - timedelta(minutes=end),
    )


def test_a_website_shows_what_is_wrong_and_where(admin: TestClient):
    text = text_of(admin.get("/domain/shop.example.org").text)

    assert "The body does not contain the expected text. Critical" in text
    assert "body-contains of /, IPv6 ; body-contains of /cart, IPv6" in text
    assert "The certificate expires in 61 days." in text
    assert "Check IPv4 IPv6" in text


def test_a_certificate_that_could_not_be_seen_is_said_to_be_unjudged(
    admin: TestClient,
):
    text = text_of(admin.get("/domain/cloud.example.org").text)

    assert "It could not be judged. Connection refused on port 443." in text


def test_a_new_website_waits_for_its_first_check(admin: TestClient):
    text = text_of(admin.get("/domain/new.example.com").text)

    assert "Waiting to be checked for the first time." in text
    assert "not checked yet" in text


def test_a_website_is_checked_now_on_request(
    admin: TestClient, csrf: str, seeded: Database, now: datetime
):
    answer = admin.post("/domain/wiki.example.org/recheck", data={"csrf": csrf})

    assert answer.status_code == 303
    assert answer.headers["location"] == "/domain/wiki.example.org?done=recheck"
    with seeded.reading() as session:
        due = set(
            session.scalars(
                select(Task.domain)
                .join(Schedule, Schedule.id == Task.group_id)
                .where(Schedule.due_at <= now)
            )
        )
    assert "https://wiki.example.org/" in due
    assert "https://cloud.example.org/" not in due
    assert (
        admin.post("/domain/x.example/recheck", data={"csrf": csrf}).status_code == 404
    )


def test_websites_with_the_same_host_share_a_page(admin: TestClient, seeded: Database):
    with seeded.transaction() as session:
        session.execute(
            update(Website)
            .where(Website.host == "wiki.example.org")
            .values(host="cloud.example.org", domain="http://cloud.example.org/")
        )

    text = admin.get("/domain/cloud.example.org").text

    assert text.count("<caption>") == 5


@pytest.mark.parametrize(
    ("incidents", "groups"),
    [
        ([], []),
        ([incident(1, 60), incident(2, 58), incident(3, 69)], [[1, 2, 3]]),
        ([incident(1, 60), incident(2, 45)], [[1], [2]]),
        ([incident(1, 60), incident(2, 60, 10)], [[1], [2]]),
        ([incident(1, 60, 30), incident(2, 61, 25)], [[1, 2]]),
        ([incident(1, 60, 30), incident(2, 60, 5)], [[1], [2]]),
        ([incident(1, 60), incident(2, 60, host="b.example")], [[1], [2]]),
        ([incident(1, 60), incident(2, 60, severity=Severity.WARNING)], [[1], [2]]),
    ],
    ids=[
        "none", "together", "later", "one-ended", "ended-together", "ended-apart",
        "other-website", "other-severity",
    ],
)  # fmt: skip
def test_incidents_that_are_one_story_are_shown_as_one(
    incidents: list[IncidentRow], groups: list[list[int]]
):
    found = group_incidents(incidents)

    assert [[member.id for member in group.members] for group in found] == groups
