"""Results are stored once, and known by their numbers whoever stored them."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from argos.server.database import Database
from argos.server.models import Result
from argos.server.queries.storing import (
    RunResults,
    add_results,
    add_run_results,
)
from tests.server.factories import add_group, task_ids

TIMINGS = (1, 2, 3, 4, 5, 15, 6)


@pytest.fixture
def tasks(database: Database, now: datetime) -> list[int]:
    checks = ["status-is"] * 5
    with database.transaction() as session:
        return task_ids(session, add_group(session, "a", due_at=now, checks=checks).id)


def a_run(ids: list[int], now: datetime, **changes: Any) -> RunResults:
    contexts = [f'{{"place": {place}}}' for place in range(len(ids))]
    run = RunResults(tuple(ids), contexts, "anna", now, now, TIMINGS)
    return run._replace(**changes)


def test_the_results_of_a_run_are_those_that_it_has_one_by_one(database, tasks, now):
    runs = [
        a_run(tasks[:3], now),
        a_run(tasks[3:], now, timings=(), received_at=now + timedelta(minutes=1)),
    ]
    with database.transaction() as session:
        add_run_results(session, runs=runs)
    together = rows_of(database)

    with database.transaction() as session:
        session.query(Result).delete()
        add_results(session, results=[each for run in runs for each in run.each()])

    assert together == rows_of(database)
    assert len(together) == len(tasks)


def test_the_first_result_of_a_run_says_for_all_how_long_they_took(
    database, tasks, now
):
    with database.transaction() as session:
        add_run_results(session, runs=[a_run(tasks[:2], now), a_run(tasks[2:], now)])

    assert [
        (row["dns_us"], row["total_us"], row["timing_error_us"])
        for row in rows_of(database)
    ] == [(1, 15, 6), (None,) * 3, (1, 15, 6), (None,) * 3, (None,) * 3]


def test_what_is_there_already_is_told_from_what_is_new(database, tasks, now):
    first = [a_run(tasks[1:2], now)]
    with database.transaction() as session:
        [([known], _)] = add_run_results(session, runs=first)
        assert add_run_results(session, runs=first) == [([known], [False])]

    with database.transaction() as session:
        # The shorter one is written first.
        runs = [a_run(tasks[2:], now), a_run(tasks[:2], now)]
        stored = add_run_results(session, runs=runs)

    assert [one.are_new for one in stored] == [[True] * 3, [True, False]]
    assert stored[1].ids[1] == known
    ids = [id_ for one in stored for id_ in one.ids]
    with database.reading() as session:
        rows = session.execute(select(Result.task_id, Result.id))
        assert dict(rows.all()) == dict(zip([*tasks[2:], *tasks[:2]], ids, strict=True))


def rows_of(database: Database) -> list[dict[str, object]]:
    columns = [column for column in Result.__table__.columns if column.name != "id"]
    with database.reading() as session:
        rows = session.execute(select(*columns).order_by(Result.task_id))
        return [dict(row._mapping) for row in rows]
