"""Pages have a pool and a time limit of their own: agents never wait for a report."""

import dataclasses
import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import select, text

from argos.clock import utcnow
from argos.errors import DatabaseUnreachable, TookTooLong
from argos.server.database import Database, ViewLimits
from argos.server.main import get_application
from argos.server.models import ConfigCache
from argos.server.routes.api import agent
from tests.server.factories import SECRET, add_group, make_config

ENDLESS = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    " SELECT count(*) FROM n"
)


@pytest.fixture
def hurried(migrated_url) -> Iterator[Database]:
    """A database whose pages have a moment."""
    database = Database(migrated_url, view_limits=ViewLimits(seconds=0.2))
    yield database
    database.close()


def test_what_takes_too_long_is_given_up(hurried):
    with pytest.raises(TookTooLong), hurried.viewing() as session:
        session.execute(ENDLESS)

    with hurried.viewing() as session:
        assert session.scalar(text("SELECT 1")) == 1


def test_the_limit_is_for_pages_only(sqlite_database):
    with sqlite_database.viewing() as session:
        session.execute(text("SELECT 1"))
    with sqlite_database.reading() as session:
        counted = session.scalar(
            text(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT"
                " 300000) SELECT count(*) FROM n"
            )
        )

    assert counted == 300_000


def test_pages_do_not_write(postgresql_database):
    with (
        pytest.raises(Exception, match="read-only transaction"),
        postgresql_database.viewing() as session,
    ):
        session.execute(text("DELETE FROM config_cache"))


def test_a_page_sees_one_moment(database):
    with database.viewing() as page:
        before = page.scalars(select(ConfigCache.name)).all()
        with database.transaction() as session:
            session.add(ConfigCache(name="later", val="x", updated_at=utcnow()))
        after = page.scalars(select(ConfigCache.name)).all()
    with database.viewing() as page:
        next_page = page.scalars(select(ConfigCache.name)).all()

    assert after == before
    assert set(next_page) - set(before) == {"later"}


@pytest.fixture
def app(migrated_postgresql_url, tmp_path) -> Iterator[FastAPI]:
    """A server that makes two pages at a time."""
    app = get_application(
        make_config(
            tmp_path, url=migrated_postgresql_url, general__unauthenticated_access="all"
        )
    )
    state = app.state.argos
    database = Database(
        migrated_postgresql_url, view_limits=ViewLimits(connections=2, seconds=20)
    )
    app.state.argos = dataclasses.replace(state, database=database)
    yield app
    for opened in (database, state.database):
        opened.close()


@pytest.fixture
def client(app) -> Iterator[TestClient]:
    with TestClient(app, headers={"Accept": "text/html"}) as client:
        yield client


@pytest.fixture
def agent_client(app, client) -> TestClient:
    caller = TestClient(app, headers={"Authorization": f"Bearer {SECRET}"})
    caller.portal = client.portal
    return caller


def test_f07_pages_that_wait_for_a_connection_keep_no_agent_waiting(
    client, agent_client, postgresql_database
):
    with postgresql_database.transaction() as session:
        add_group(session, "a", due_at=utcnow())

    with ThreadPoolExecutor(50) as browsers:
        with postgresql_database.transaction() as locker:
            locker.execute(text("LOCK TABLE incidents"))
            pages = [browsers.submit(client.get, "/incidents") for _ in range(50)]
            tasks = agent_client.get("/api/tasks", params={"agent_id": "paris"})
            report = agent_client.post(
                "/api/results",
                params={"agent_id": "paris"},
                json=[
                    {
                        "task_id": tasks.json()[0]["id"],
                        "status": "success",
                        "context": {},
                    }
                ],
            )
            assert not any(page.done() and page.result().is_success for page in pages)
            wait(
                pages, return_when=FIRST_COMPLETED
            )  # refused, for want of a connection
        answers = [page.result() for page in pages]

    assert (tasks.status_code, report.status_code) == (200, 201)
    assert {answer.status_code for answer in answers} <= {200, 503}
    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused, "more than two pages at once cannot all be made"
    assert {answer.headers["Retry-After"] for answer in refused} == {"5"}
    assert client.get("/incidents").status_code == 200


def test_f07_calls_of_agents_take_none_of_the_threads_that_pages_wait_in():
    """FastAPI gives a plain function such a thread, and an `async` one none."""
    begun: list[Dependant] = [
        route.dependant for route in agent.router.routes if isinstance(route, APIRoute)
    ]
    calls = []
    while begun:
        dependant = begun.pop()
        begun += dependant.dependencies
        calls.append(dependant.call)

    assert len(calls) > 3
    assert [call for call in calls if not inspect.iscoroutinefunction(call)] == []


def test_f08_a_table_that_is_locked_for_long_is_503_and_no_stuck_worker(
    client, agent_client, postgresql_database
):
    with postgresql_database.transaction() as session:
        add_group(session, "a", due_at=utcnow())
    call = {"url": "/api/tasks", "params": {"agent_id": "paris"}}

    with postgresql_database.transaction() as locker:
        locker.execute(text("LOCK TABLE schedule"))
        during = agent_client.get(**call)
    after = agent_client.get(**call)

    assert (during.status_code, during.headers["Retry-After"]) == (503, "5")
    assert (after.status_code, len(after.json())) == (200, 1)


def test_a_page_that_takes_too_long_says_so(app, client, postgresql_database):
    state = app.state.argos
    hurried = Database(state.database.url, view_limits=ViewLimits(seconds=0.1))
    app.state.argos = dataclasses.replace(state, database=hurried)

    with postgresql_database.transaction() as locker:
        locker.execute(text("LOCK TABLE incidents"))
        page = client.get("/incidents")
    hurried.close()

    assert page.status_code == 503
    assert "takes the database longer than a page may take" in page.text
    assert "<html" in page.text


def test_f08_who_waits_for_the_turn_to_write_gives_up(sqlite_database):
    faults = []

    def write() -> None:
        try:
            with sqlite_database.transaction():
                pass
        except DatabaseUnreachable as err:
            faults.append(str(err))

    with sqlite_database.transaction():
        writer = threading.Thread(target=write)
        writer.start()
        writer.join()

    assert faults == [
        "The database is being written to for so long that others cannot wait."
    ]
