import re
from datetime import datetime

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from argos.server.database import Database
from argos.server.models import Task, Website
from argos.server.queries.websites import WebsitePlace
from argos.server.routes.pages import websites as page


def hosts(html: str) -> list[str]:
    return re.findall(r'<th scope="row">\s*<a href="/domain/([^"]+)"', html)


ALL = [
    "cloud.example.org",
    "shop.example.org",
    "api.example.org",
    "new.example.com",
    "a.example.net",
    "b.example.net",
    "events.example.org",
    "wiki.example.org",
    "xn--bcher-kva.example",
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ALL),
        ("?s=all", ALL),
        ("?s=not-ok", ALL[:6]),
        ("?s=critical", ALL[:2]),
        ("?s=warning", ALL[4:6]),
        ("?s=unknown", ALL[2:4]),
        ("?s=ok", ALL[6:]),
        ("?q=EXAMPLE.NET", ALL[4:6]),
        ("?q=cloud+st", ALL[:1]),
        ("?q=B%C3%BCcher", ALL[8:]),
        ("?q=%25", []),
        ("?q=_", []),
        ("?q=nowhere", []),
        ("?s=ok&q=org", ALL[6:8]),
    ],
)
def test_websites_are_found_by_state_and_name_the_most_urgent_first(
    admin: TestClient, query: str, expected: list[str]
):
    assert hosts(admin.get(f"/domains{query}").text) == expected


def test_the_list_goes_on_where_the_url_says(admin: TestClient):
    text = admin.get("/domains?after=2.999.api.example.org").text

    assert "First page" in text
    assert hosts(text) == ALL[3:]


@pytest.mark.parametrize(
    "place",
    [WebsitePlace(3, "cloud.example.org", 7), WebsitePlace(0, "[::1]:8443", 2**40)],
)
def test_a_place_in_the_list_survives_the_url(place: WebsitePlace):
    assert page.parse_place(page.format_place(place)) == place


def test_a_website_has_no_row_once_the_config_has_dropped_it(
    admin: TestClient, seeded: Database, now: datetime
):
    with seeded.transaction() as session:
        session.execute(
            update(Website)
            .where(Website.host == "cloud.example.org")
            .values(archived_at=now)
        )
        session.execute(
            update(Task)
            .where(Task.domain == "https://cloud.example.org/")
            .values(archived_at=now)
        )

    assert "cloud.example.org" not in admin.get("/domains").text
    left = admin.get("/domain/cloud.example.org")
    assert left.status_code == 200
    assert "no longer names this website" in left.text
    assert "Check now" not in left.text


def test_a_certificate_that_ends_soon_is_pointed_out(admin: TestClient):
    text = admin.get("/domains?q=a.example.net").text

    assert "<b>4 days</b>" in text


def test_a_password_in_a_host_is_not_shown(admin: TestClient, seeded: Database):
    with seeded.transaction() as session:
        session.execute(
            update(Website)
            .where(Website.host == "wiki.example.org")
            .values(host="anna:secret@wiki.example.org")
        )

    text = re.sub(r'href="[^"]*"', "", admin.get("/domains").text)

    assert "wiki.example.org" in text
    assert "secret" not in text
