"""How long a run took is stored once where it was well, and told of each of its results."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from argos.core.severity import Severity, Status
from argos.server.database import Database
from argos.server.models import Result, Task
from argos.server.queries import history
from argos.server.queries.history import ResultRow
from argos.server.queries.storing import (
    NewResult,
    RunResults,
    add_results,
    add_run_results,
)
from tests.server.factories import add_group, task_ids

TIMINGS = (1, 2, 3, 4, 5, 15, 6)
PHASES = TIMINGS[:5]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def tasks(database: Database, now: datetime) -> list[int]:
    return add_tasks(database, now, "a")


@pytest.fixture
def add_run(database: Database, now: datetime) -> Callable[..., None]:
    """Store a run that is well, as a whole."""

    def add(ids: list[int], **changes: Any) -> None:
        run = RunResults(ids, ["{}"] * len(ids), "anna", now, now, TIMINGS)
        with database.transaction() as session:
            add_run_results(session, runs=[run._replace(**changes)])

    return add


def add_tasks(
    database: Database, now: datetime, name: str, **columns: Any
) -> list[int]:
    with database.transaction() as session:
        group = add_group(session, name, due_at=now, checks=["status-is"] * 3)
        return task_ids(session, group.id)


def read(database: Database, task_id: int) -> list[ResultRow]:
    with database.reading() as session:
        return list(history.list_results(session, task_id=task_id))


def test_each_result_of_a_run_tells_how_long_it_took(database, tasks, add_run, now):
    add_run(tasks)
    later = now + MINUTE
    add_run(tasks[1:], submitted_at=later, received_at=later, timings=(9,) * 7)

    for id_ in tasks[1:]:
        newer, older = read(database, id_)
        assert (newer.phases, newer.total_us) == ((9,) * 5, 9)
        assert (older.phases, older.total_us) == (PHASES, 15)
        with database.reading() as session:
            assert history.get_result(session, result_id=older.id) == older
            assert history.get_last_result(session, task_id=id_) == newer
    [only] = read(database, tasks[0])
    assert only.phases == PHASES


def test_a_run_without_times_has_none(database, tasks, add_run, now):
    add_run(tasks, timings=())
    add_run(tasks, agent_id="bert", submitted_at=now + MINUTE)

    timed, timeless = read(database, tasks[2])

    assert timed.total_us == 15
    assert (timeless.phases, timeless.total_us) == ((None,) * 5, None)


@pytest.mark.parametrize(
    ("columns", "agent", "told"),
    [
        ({"task_group": "GET-4-a", "group_id": 2}, "anna", 15),
        ({"expected": "200"}, "anna", None),
        ({"task_group": "GET-4-a", "group_id": 1}, "anna", None),
        ({"task_group": "GET-4-a", "group_id": None}, "anna", 15),
        ({"task_group": "GET-4-a", "group_id": 2, "location": "x"}, "anna", None),
        ({"task_group": "GET-4-a", "group_id": 2}, "bert", None),
    ],
    ids=[
        "the same run",
        "another page",
        "another probe",
        "archived since",
        "another location",
        "another agent",
    ],
)
def test_times_of_others_at_the_same_moment_are_not_ours(
    database, now, add_run, columns, agent, told
):
    others = add_tasks(database, now, "b")
    tasks = add_tasks(database, now, "a")
    with database.transaction() as session:
        session.execute(update(Task).where(Task.id.in_(others)).values(**columns))

    add_run(others, agent_id=agent)
    add_run(tasks, timings=())

    assert read(database, tasks[2])[0].total_us == told


def test_a_chart_counts_a_run_once_however_often_it_says_its_times(
    database, tasks, add_run, now
):
    add_run(tasks)
    second = now + MINUTE
    with database.transaction() as session:
        add_results(session, results=[
            NewResult(id_, "anna", second, second, Status.SUCCESS, Severity.OK, "{}",
                      False, False, *[10 * us for us in TIMINGS])
            for id_ in tasks
        ])  # fmt: skip
        assert len(session.scalars(select(Result.total_us)).all()) == 6

    with database.reading() as session:
        for id_ in tasks:
            [sample] = history.list_phase_samples(
                session, task_id=id_, since=now, width=timedelta(hours=1)
            )
            assert sample.count == 2
            assert sample.phases == pytest.approx([5.5 * us for us in PHASES])
            assert sample.p95_us == 150
