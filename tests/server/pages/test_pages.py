"""What all pages have in common."""

import re

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from sqlalchemy import select

from argos.server.database import Database
from argos.server.models import Result
from argos.server.routes.security import CONTENT_SECURITY_POLICY
from argos.server.routes.templating import Links
from tests.server.browsing import logged_in
from tests.server.demo_data import seed_demo

PAGES = [
    "/",
    "/logout",
    "/domains",
    "/domains?s=not-ok",
    "/domains?q=example&s=ok",
    "/domain/cloud.example.org",
    "/domain/new.example.com",
    "/domain/xn--bcher-kva.example?range=7d",
    "/task/1/results",
    "/task/1/results?range=6h",
    "/result/1",
    "/result/{bad}",
    "/agents",
    "/incidents",
    "/incidents?s=open",
    "/incident/1",
    "/notices",
    "/notices?s=dead&done=retry",
    "/account",
    "/docs",
]


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """Each page once with each kind of database."""
    url: str = request.getfixturevalue(f"migrated_{request.param}_url")
    return url


@pytest.fixture
def bad_result(seeded: Database) -> int:
    """The id of a result that is not ok."""
    with seeded.reading() as session:
        found = session.scalar(select(Result.id).where(Result.severity == "critical"))
    assert found is not None
    return found


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_shown_without_inline_code_or_foreign_files(
    admin: TestClient, path: str, bad_result: int
):
    answer = admin.get(path.format(bad=bad_result))

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\ssrc=)", answer.text)
    assert not re.search(r"\s(?:style|on\w+)=", answer.text)
    assert not re.search(r'(?:src|<link[^>]*href)="(?!/static/)', answer.text)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/domain/example", 404),
        ("/domain/ample.org", 404),
        ("/domain/%25", 404),
        ("/domain/cloud.example.org.evil.example", 404),
        ("/task/99999/results", 404),
        ("/task/nine/results", 404),
        ("/task/99999999999999999999999/results", 404),
        ("/task/-1/results", 404),
        ("/result/99999", 404),
        ("/result/9223372036854775808", 404),
        ("/incident/99999", 404),
        ("/nowhere", 404),
        ("/domains?s=bad", 422),
        ("/domains?after=x", 422),
        ("/domains?q=%00", 422),
        ("/domain/cloud.example.org?range=1y", 422),
        ("/task/1/results?before=yesterday", 422),
        ("/incidents?s=maybe", 422),
        ("/incidents?before=1", 422),
        ("/static/nothing.css", 404),
        ("/static/..%2f..%2fdatabase.py", 404),
    ],
)
def test_what_does_not_exist_gets_a_page_that_says_so(
    admin: TestClient, path: str, status: int
):
    answer = admin.get(path)

    assert answer.status_code == status
    assert "To the dashboard" in answer.text
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


def test_a_program_gets_json_instead_of_a_page_about_an_error(admin: TestClient):
    answer = admin.get("/domain/example", headers={"Accept": "application/json"})

    assert answer.status_code == 404
    assert answer.json() == {"detail": "Argos does not watch this website."}


def test_a_wrong_method_is_refused(admin: TestClient):
    assert admin.post("/domains").status_code == 405


def test_looking_changes_nothing_but_when_the_session_was_seen(
    admin: TestClient, seeded: Database, bad_result: int
):
    def checksum() -> list[object]:
        with seeded.reading() as session:
            tables = ("tasks", "schedule", "results", "incidents", "events", "users")
            return [
                session
                .connection()
                .exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2")
                .all()
                for table in tables
            ]

    before = checksum()
    for path in PAGES:
        admin.get(path.format(bad=bad_result))

    assert checksum() == before
    assert admin.get("/").status_code == 200


def test_pages_work_on_an_empty_database(
    make_app, database: Database, now, password_hash: str
):
    with database.transaction() as session:
        seed_demo(session, now=now, sites=[], password_hash=password_hash)
    admin = logged_in(make_app(), database, now=now)

    assert "Nothing is watched yet" in admin.get("/").text
    assert "reload-config" in admin.get("/domains").text
    assert "No incident is open" in admin.get("/incidents").text


def test_links_of_one_route_are_told_apart_by_their_parameters(admin: TestClient):
    link = Links(Request({"type": "http", "app": admin.app}))

    links = [link("website", host=host) for host in ("a.example", "{host}/%7B", "b")]

    assert links == ["/domain/a.example", "/domain/%7Bhost%7D%2F%257B", "/domain/b"]
    assert link("dashboard") == link("dashboard") == "/"
