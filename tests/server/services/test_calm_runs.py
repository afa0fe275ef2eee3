"""Runs that are taken over as a whole leave behind what their results would one by one."""

import random
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from argos.core.matching import Matcher
from argos.core.rollup import Kind, compact, unpack
from argos.core.severity import Severity
from argos.protocol import ReportAnswer
from argos.schemas import Config
from argos.server.database import Database
from argos.server.models import (
    Event,
    Gap,
    GroupDay,
    Result,
    Schedule,
    SilenceKind,
    Task,
    TaskDay,
)
from argos.server.queries.history import list_results
from argos.server.queries.leased import LeasedTask
from argos.server.queries.leases import lease_groups
from argos.server.queries.silences import NewSilence
from argos.server.queries.storing import NewResult
from argos.server.services import peace
from argos.server.services.calm import CalmRun, Sieve, Stretch
from argos.server.services.ingest import ingest
from tests.server.factories import add_group, task_ids

CHECKS = ("status-is", "body-contains", "headers-have")
MINUTE = timedelta(minutes=1)
HOURS = 12
TABLES = (Task, Schedule, Result, TaskDay, GroupDay, Gap, Event)
UNLIKE = {
    Result: {"id", *(name for name in NewResult._fields if name.endswith("_us"))},
    Event: {"id"},
}
"""Columns that differ: times are compared as pages tell them, wherever they are stored."""


class Fleet:
    """Websites that are mostly well, and agents that mostly report in time."""

    def __init__(self, database: Database, config: Config, now: datetime) -> None:
        self.database, self.config, self.now = database, config, now
        self.random = random.Random(5)
        self.answers: list[list[tuple[int, datetime]]] = []
        """Of each report: the tasks and the moments of the results that it names."""
        with database.transaction() as session:
            groups = [
                add_group(
                    session,
                    f"site{place}",
                    due_at=now,
                    checks=CHECKS[: 1 + place % 3],
                    frequency=[5.0, 20.0, 45.0][place % 3],
                ).id
                for place in range(6)
            ]
            # Not all groups have tasks whose ids follow one another.
            pair = groups[2], groups[5]
            middles = [session.get_one(Task, task_ids(session, id_)[1]) for id_ in pair]
            places = [(task.group_id, task.task_group) for task in middles]
            for task, place in zip(reversed(middles), places, strict=True):
                task.group_id, task.task_group = place

    def live(self) -> None:
        late: list[tuple[str, list[Any]]] = []
        end = self.now + HOURS * 60 * MINUTE
        while self.now < end:
            agent = self.random.choice(["anna", "bert"])
            with self.database.transaction() as session:
                tasks = lease_groups(
                    session, agent=agent, pools=[0], limit=9, now=self.now
                ).read_tasks()
            items = self._measure(sorted(tasks, key=lambda task: task.id))
            cut = self.random.choice([0] * 6 + [len(items) // 2, len(items)])
            late.append((agent, items[:cut]))
            self.now += self.random.choice([1, 4, 11]) * MINUTE
            if self.random.random() < 0.3:
                self._post(*self.random.choice(late))
                self._post("carl", items)
            self._post(agent, items[cut:])
            if self.random.random() < 0.2:
                self._post(agent, items)

    def maintain(self, website: str) -> None:
        new = NewSilence(
            kind=SilenceKind.MAINTENANCE,
            matcher=Matcher(website=[website]),
            starts_at=self.now + 3 * 60 * MINUTE,
            ends_at=self.now + 9 * 60 * MINUTE,
            comment="",
            created_by="eva",
        )
        peace.add_silence(self.database, new, now=self.now)

    def _measure(self, tasks: list[LeasedTask]) -> list[dict[str, Any]]:
        items = []
        timings: dict[int, Any] = {}
        for task in tasks:
            group = task.group_id
            if group not in timings:
                total_us = int(self.random.lognormvariate(11, 1))
                timings[group] = {"total_us": total_us, "first_byte_us": total_us // 2}
            fails = self.random.random() < 0.02
            items.append({
                "task_id": task.id,
                "status": "failure" if fails else "success",
                "context": {"expected": "200", "seen": self.random.randrange(3)},
                "lease_no": task.lease_no,
                "leased_at": task.leased_at.isoformat(),
                "elapsed_us": 1_000 + group,
                "timings": timings[group],
            })
        return items

    def _post(self, agent: str, items: list[Any]) -> None:
        answer = ingest(
            self.database, agent=agent, items=items, config=self.config, now=self.now
        )
        assert agent == "carl" or not answer.refused
        with self.database.reading() as session:
            rows = session.execute(
                select(Result.id, Result.task_id, Result.submitted_at)
            )
            known = {id_: (task_id, moment) for id_, task_id, moment in rows}
        self.answers.append([known[id_] for id_ in answer.result_ids])

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """All that is stored, but for columns that differ, and what pages tell of it."""
        found = {"times": self._times()}
        with self.database.reading() as session:
            for model in TABLES:
                unlike = UNLIKE.get(model, ())
                columns = [c for c in model.__table__.columns if c.name not in unlike]
                rows = [dict(row._mapping) for row in session.execute(select(*columns))]
                for row in rows:
                    if "hours" in row:
                        row["hours"] = compact(row["hours"])
                found[model.__tablename__] = sorted(rows, key=str)
        return found

    def _times(self) -> list[dict[str, Any]]:
        """What the pages tell of each result."""
        with self.database.reading() as session:
            return [
                {"task": id_, "at": row.submitted_at, "us": (*row.phases, row.total_us)}
                for id_ in session.scalars(select(Task.id).order_by(Task.id)).all()
                for row in list_results(session, task_id=id_, limit=9999)
            ]


@pytest.fixture
def other_database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "other.db"
    shutil.copy(migrated_sqlite, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[CalmRun]:
    """The calm runs that the sieve finds."""
    runs: list[CalmRun] = []
    part = Sieve.part

    def remember(self: Sieve, read: Any, **more: Any) -> Any:
        calm_runs, others = part(self, read, **more)
        runs.extend(calm_runs)
        return calm_runs, others

    monkeypatch.setattr(Sieve, "part", remember)
    return runs


def find_none(_: Sieve, read: list[Stretch], **__: Any) -> Any:
    return [], [item for stretch in read for item in stretch.items]


def test_whatever_happens_beside(
    database, other_database, config, now, found, monkeypatch
):
    whole = Fleet(database, config, now)
    whole.maintain("site1.example.org")
    whole.live()
    monkeypatch.setattr(Sieve, "part", find_none)
    single = Fleet(other_database, config, now)
    single.maintain("site1.example.org")
    single.live()

    assert len(found) > 100
    assert whole.answers == single.answers
    stored = whole.rows()
    assert stored == single.rows()
    assert {row["severity"] for row in stored["results"]} > {Severity.OK}
    for mark in ("is_late", "in_maintenance"):
        assert any(row[mark] for row in stored["results"])


@pytest.fixture
def report(
    database: Database, config: Config, now: datetime
) -> Callable[..., ReportAnswer]:
    """Reports a run of three tasks that is well, with changes; a minute after another."""
    moments = iter(now + place * MINUTE for place in range(9))
    with database.transaction() as session:
        add_group(session, "a", due_at=now, checks=["status-is"] * 3, frequency=1.0)

    def post(*changes: dict[str, Any], times: int = 1, step: int = 1) -> ReportAnswer:
        moment = next(moments)
        with database.transaction() as session:
            tasks = lease_groups(
                session, agent="anna", pools=[0], limit=1, now=moment
            ).read_tasks()
        items = [
            {
                "task_id": task.id,
                "status": "success",
                "context": {},
                "lease_no": task.lease_no,
                "leased_at": moment.isoformat(),
                "elapsed_us": 7,
            }
            for task in tasks
        ]
        for item, change in zip(items, changes, strict=False):
            item.update(change)
        return ingest(
            database,
            agent="anna",
            items=items[::step] * times,
            config=config,
            now=moment,
        )

    return post


@pytest.mark.parametrize(
    "change",
    [{"status": "failure"}, {"status": "on-check"}, {"elapsed_us": 8}],
    ids=str,
)
def test_a_run_that_is_not_the_same_in_all_is_not_calm(report, found, change):
    report()
    report()
    assert len(found.pop().results.task_ids) == 3

    report({}, change)

    assert found == []


def test_a_run_that_is_reported_backwards_tells_all_of_its_times(
    report, found, database
):
    took = {"timings": {"first_byte_us": 4, "total_us": 5}}
    report()
    report(took, took, took, step=-1)

    ids = found[-1].results.task_ids
    assert len(ids) == 3
    with database.reading() as session:
        newest = [list_results(session, task_id=id_)[0].total_us for id_ in ids]
    assert newest == [5, 5, 5]


def test_a_run_that_is_twice_in_a_report_is_counted_once(report, found, database):
    report()
    report()
    found.clear()

    answer = report(times=2)

    assert len(answer.result_ids) == 6
    assert len(set(answer.result_ids)) == 3
    assert found == []
    with database.reading() as session:
        counts = [
            unpack(tally or b"") for tally in session.scalars(select(Task.open_counts))
        ]
    assert counts == [{Kind.OK: 3}] * 3
