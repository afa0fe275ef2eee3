"""A full disk, a database that may not be written, a clock that is set: no false 201."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, text

from argos.server.database import Database
from argos.server.main import get_application
from tests.server.browsing import TurnedClock
from tests.server.factories import SECRET, add_group, make_config

LARGE = "x" * 60_000


@dataclass(slots=True)
class Agent:
    """An agent, the server that it reports to, and what that one stored."""

    client: TestClient
    clock: TurnedClock
    database: Database

    def lease(self) -> list[dict[str, Any]]:
        answer = self.client.get("/api/tasks?limit=10&capabilities=&agent_id=anna")
        assert answer.status_code == 200, answer.text
        tasks: list[dict[str, Any]] = answer.json()
        return tasks

    def report(self, tasks: list[dict[str, Any]], *, text: str = "") -> httpx2.Response:
        results = [
            {
                "task_id": task["id"],
                "status": "success",
                "context": {"text": text},
                "lease_no": task["lease_no"],
                "leased_at": task["leased_at"],
                "elapsed_us": 1_000,
            }
            for task in tasks
        ]
        return self.client.post("/api/results?agent_id=anna", json=results)

    def stored(self) -> list[int]:
        with self.database.reading() as session:
            found = session.scalars(text("SELECT id FROM results ORDER BY id"))
            return list(found)

    def count(self, table: str) -> int:
        with self.database.reading() as session:
            found = session.scalars(text(f"SELECT count(*) FROM {table}"))
            return int(found.one())


@pytest.fixture
def agent(migrated_url, database, tmp_path, now) -> Iterator[Agent]:
    """An agent for three tasks; the loops of its server are not started."""
    with database.transaction() as session:
        for place in range(3):
            add_group(session, f"site{place}", due_at=now, frequency=1.0)
    clock = TurnedClock(now)
    app = get_application(make_config(tmp_path, url=migrated_url), clock=clock)
    client = TestClient(
        app,
        headers={"Authorization": f"Bearer {SECRET}"},
        raise_server_exceptions=False,
    )
    yield Agent(client, clock, app.state.argos.database)
    app.state.argos.database.close()


class Trouble:
    """What is told each connection of a database before it is used, while it lasts."""

    def __init__(self, database: Database, *, begin: str, end: str) -> None:
        self._begin, self._end = begin, end
        self._is_over = False
        for engine in database.engines:
            event.listen(engine, "checkout", self._on_checkout)

    def end(self) -> None:
        self._is_over = True

    def _on_checkout(self, connection: Any, *_: object) -> None:
        connection.execute(self._end if self._is_over else self._begin)
        connection.commit()


class FullDisk:
    """A disk on which no result has room any more, until it is freed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        if database.is_sqlite:
            # It takes the limit for a full disk; it is never less than what is in use.
            self._trouble = Trouble(
                database,
                begin="PRAGMA max_page_count=1",
                end="PRAGMA max_page_count=1000000",
            )
            return
        # PostgreSQL raises what it does when a table cannot grow.
        with database.connection() as connection:
            connection.exec_driver_sql(NO_ROOM)
            connection.exec_driver_sql(
                "CREATE TRIGGER no_room BEFORE INSERT ON results"
                " FOR EACH STATEMENT EXECUTE FUNCTION no_room()"
            )

    def free(self) -> None:
        if self._database.is_sqlite:
            self._trouble.end()
            return
        with self._database.connection() as connection:
            connection.exec_driver_sql("DROP FUNCTION no_room CASCADE")


NO_ROOM = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
RAISE EXCEPTION 'could not extend file "base/5/1": No space left on device'
  USING ERRCODE = 'disk_full'; END $$
"""


def test_f09_nothing_is_accepted_on_a_full_disk_and_all_is_well_after_it(agent):
    full = FullDisk(agent.database)
    tasks = agent.lease()
    accepted: list[int] = []

    # What is free within SQLite's file is used up first.
    while (answer := agent.report(tasks, text=LARGE)).status_code == 201:
        accepted += answer.json()["result_ids"]
    before = agent.stored()
    full.free()
    after = agent.report(tasks, text=LARGE)

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert before == accepted
    assert after.status_code == 201
    assert len(after.json()["result_ids"]) == len(tasks)
    assert agent.stored() == sorted({*accepted, *after.json()["result_ids"]})


def test_f10_a_database_that_may_not_be_written_takes_nothing(agent):
    """As on a disk that was mounted read-only, or a primary that became a standby."""
    tasks = agent.lease()
    is_sqlite = agent.database.is_sqlite
    forbidden = Trouble(
        agent.database,
        begin="PRAGMA query_only=ON"
        if is_sqlite
        else "SET default_transaction_read_only TO on",
        end="PRAGMA query_only=OFF"
        if is_sqlite
        else "SET default_transaction_read_only TO off",
    )

    refused = agent.report(tasks)
    before = agent.stored()
    forbidden.end()
    after = agent.report(tasks)

    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert before == []
    assert after.status_code == 201
    assert len(tasks) == 3
    assert agent.stored() == after.json()["result_ids"]


@pytest.mark.parametrize("hours", [-1, 1])
def test_f14_a_clock_that_is_set_loses_and_doubles_nothing(agent, hours):
    tasks = agent.lease()

    agent.clock.now += timedelta(hours=hours)
    answer = agent.report(tasks)
    agent.clock.now -= timedelta(hours=hours)
    again = agent.report(tasks)
    agent.clock.now += timedelta(hours=2)
    later = agent.lease()

    assert (answer.status_code, again.status_code) == (201, 201)
    assert answer.json()["refused"] == []
    assert len(answer.json()["result_ids"]) == len(tasks) == 3
    assert set(agent.stored()) >= set(answer.json()["result_ids"])
    assert agent.count("events") == 0
    assert agent.count("results WHERE is_late IS NULL") == len(tasks)
    assert {task["id"] for task in later} == {task["id"] for task in tasks}
