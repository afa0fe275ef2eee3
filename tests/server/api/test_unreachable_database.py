"""A database that goes away and comes back: 503, no traceback, no restart."""

import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from argos.clock import utcnow
from argos.errors import DatabaseUnreachable, WrongRevision
from argos.server.database import Database
from argos.server.main import get_application
from argos.server.migrations.runner import migrate
from tests.server.factories import SECRET, add_group, make_config

CALLS = [
    ("get", "/api/tasks", None),
    ("post", "/api/results", '[{"task_id": 1, "status": "success", "context": {}}]'),
    ("post", "/api/tasks/release", '[{"group_id": 1, "lease_no": 1}]'),
    ("get", "/api/severities", None),
]


@pytest.fixture
def shutting(
    migrated_postgresql_url: str, postgresql_admin: psycopg.Connection
) -> Iterator[Any]:
    """Takes the database away, and gives it back."""
    name = make_url(migrated_postgresql_url).database
    assert name is not None

    def shut(*, is_shut: bool) -> None:
        postgresql_admin.execute(
            f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {"false" if is_shut else "true"}'
        )
        if is_shut:
            postgresql_admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s",
                [name],
            )

    yield shut
    shut(is_shut=False)


@pytest.fixture
def client(migrated_postgresql_url, tmp_path) -> Iterator[TestClient]:
    loaded = make_config(
        tmp_path, url=migrated_postgresql_url, general__unauthenticated_access="all"
    )
    with TestClient(
        get_application(loaded),
        headers={
            "Authorization": f"Bearer {SECRET}",
            "Content-Type": "application/json",
        },
        raise_server_exceptions=False,
    ) as client:
        yield client


def test_calls_get_503_and_then_work_again(client, shutting, postgresql_database):
    with postgresql_database.transaction() as session:
        add_group(session, "a", due_at=utcnow())
    # The last one's answer would be kept for a moment.
    before = [client.request(*call[:2], content=call[2]) for call in CALLS[1:-1]]
    postgresql_database.close()

    shutting(is_shut=True)
    during = [client.request(*call[:2], content=call[2]) for call in CALLS]
    health = [client.get(path).status_code for path in ("/healthz", "/readyz")]
    shutting(is_shut=False)
    after = [client.request(*call[:2], content=call[2]) for call in CALLS]

    assert {answer.status_code for answer in before} <= {200, 201}
    assert {answer.status_code for answer in during} == {503}
    assert {answer.headers["Retry-After"] for answer in during} == {"5"}
    assert {answer.json()["detail"] for answer in during} == {
        "The database cannot be reached; try again in a moment."
    }
    assert health == [200, 503]
    assert {answer.status_code for answer in after} <= {200, 201}
    assert len(after[0].json()) == 1


def test_browser_gets_a_page(client, shutting):
    shutting(is_shut=True)

    api = client.get("/api/stats", headers={"Accept": "text/html"})
    page = client.get("/", headers={"Accept": "text/html"})

    assert api.json()["detail"].startswith("The database cannot be reached")
    assert page.status_code == 503
    assert page.headers["Retry-After"] == "5"
    assert "The database cannot be reached; try again in a moment." in page.text
    assert "<html" in page.text


def test_threads_go_on_when_the_database_is_back(
    client, shutting, postgresql_database, caplog
):
    shutting(is_shut=True)
    pause = threading.Event()
    for _ in range(100):
        if (
            "The housework waits" in caplog.text
            and "Nothing can be sent" in caplog.text
        ):
            break
        pause.wait(0.1)
    assert "The housework waits" in caplog.text
    assert "Traceback" not in caplog.text
    shutting(is_shut=False)

    def finished() -> Any:
        with postgresql_database.reading() as session:
            return session.execute(
                text("SELECT max(finished_at) FROM duties WHERE name = 'jobs'")
            ).scalar_one()

    first = finished()
    for _ in range(150):
        if finished() not in {None, first}:
            break
        pause.wait(0.1)
    assert finished() not in {None, first}


def test_exhausted_pool_is_unreachable_too(migrated_postgresql_url):
    database = Database(migrated_postgresql_url, pool_size=1, max_overflow=1)

    with database.reading() as first, database.reading() as second:
        first.execute(text("SELECT 1"))
        second.execute(text("SELECT 1"))
        with (
            pytest.raises(DatabaseUnreachable, match=r"All connections .* in use"),
            database.reading() as third,
        ):
            third.execute(text("SELECT 1"))
    database.close()


def test_wrong_statement_is_no_absence_of_the_database(database):
    with pytest.raises(DBAPIError, match="nowhere"), database.reading() as session:
        session.execute(text("SELECT nothing FROM nowhere"))


def test_locked_sqlite_file_is_503(sqlite_database, tmp_path, migrated_sqlite_url):
    with sqlite_database.connection() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")
    other = sqlite3.connect(tmp_path / "argos.db")
    other.execute("BEGIN EXCLUSIVE")

    with (
        pytest.raises(DatabaseUnreachable, match="locked"),
        sqlite_database.transaction() as session,
    ):
        session.execute(text("SELECT 1"))

    other.close()


def test_server_does_not_start_on_a_wrong_schema(sqlite_url, tmp_path):
    loaded = make_config(tmp_path, url=sqlite_url)
    Database(sqlite_url).check_reachable()

    with pytest.raises(WrongRevision), TestClient(get_application(loaded)):
        pass


def test_server_does_not_start_without_its_database(tmp_path):
    loaded = make_config(tmp_path, url="postgresql://argos@127.0.0.1:9/argos")

    with pytest.raises(DatabaseUnreachable), TestClient(get_application(loaded)):
        pass


def test_building_the_application_opens_nothing(tmp_path):
    path = tmp_path / "not" / "there.db"

    get_application(make_config(tmp_path, url=f"sqlite:///{path}"))

    assert not path.parent.exists()


def test_ready_means_reachable_and_migrated(sqlite_url, tmp_path):
    database = Database(sqlite_url)
    migrate(database)
    with TestClient(get_application(make_config(tmp_path, url=sqlite_url))) as client:
        ready = client.get("/readyz")
        with database.transaction() as session:
            session.execute(text("UPDATE alembic_version SET version_num = 'x'"))
        unready = client.get("/readyz")
    database.close()

    assert (ready.status_code, ready.text) == (200, "ok\n")
    assert unready.status_code == 503
