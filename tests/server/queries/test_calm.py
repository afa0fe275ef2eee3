"""Calm tasks: the short way writes what the long way would."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import select, update

from argos.core.flapping import ALL_OK, FRESH, FULL, RunHistory
from argos.core.incident import Outcome, Patience, Reason, TaskState, advance
from argos.core.schedule import EPOCH
from argos.core.severity import Severity, Status
from argos.server.models import Task
from argos.server.queries import calm, results
from argos.server.queries.calm import CalmMove, RangeMove
from tests.server.factories import add_group, task_ids


@given(
    st.sampled_from([None, "anna"]),
    st.builds(Patience, st.integers(0, 3), st.integers(0, 3), st.booleans()),
    st.integers(1, 2 * FULL - 1),
)
def test_an_ok_result_adds_a_run_to_a_calm_state_and_nothing_else(
    agent, patience, bits
):
    calm_state = TaskState(has_run=True, history=RunHistory(bits))

    step = advance(calm_state, Outcome(Severity.OK, EPOCH, agent=agent), patience)

    later = replace(calm_state, history=calm_state.history.push(failed=False))
    assert (step.state, step.event, step.reason) == (later, None, Reason.STILL_OK)


@pytest.fixture
def task_id(database, now) -> int:
    with database.transaction() as session:
        (id_,) = task_ids(session, add_group(session, "a", due_at=now).id)
        session.execute(
            update(Task).values(
                severity=Severity.OK,
                last_status=Status.SUCCESS,
                severity_since=now,
                completed_at=now,
                run_history=ALL_OK,
            )
        )
    return id_


def glance(database, task_id):
    with database.transaction() as session:
        return calm.lock_tasks(session, ids={task_id})[task_id]


def test_a_task_that_is_well_is_calm(database, task_id):
    assert glance(database, task_id).is_calm


@pytest.mark.parametrize(
    "change",
    [
        {"severity": Severity.CRITICAL}, {"last_status": Status.ON_CHECK},
        {"severity_since": None}, {"completed_at": None},
        {"told_severity": Severity.CRITICAL}, {"contiguous_failures": 1},
        {"failing_since": EPOCH}, {"contiguous_successes": 1},
        {"already_retried": True},
        {"is_flapping": True}, {"seen_by": "anna"}, {"confirming_since": EPOCH},
        {"doubted_agent": "anna", "doubted_since": EPOCH},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_is_remembered_makes_a_task_restless(sqlite_database, now, change):
    with sqlite_database.transaction() as session:
        (id_,) = task_ids(session, add_group(session, "a", due_at=now).id)
        calm_values = {
            "severity": Severity.OK, "last_status": Status.SUCCESS,
            "severity_since": now, "completed_at": now, "run_history": ALL_OK,
        }  # fmt: skip
        session.execute(update(Task).values(calm_values | change))

    assert not glance(sqlite_database, id_).is_calm


def test_a_calm_move_writes_the_moments_and_nothing_else(database, task_id, now):
    later = now + timedelta(minutes=5)
    before = row_of(database, task_id)

    with database.transaction() as session:
        move = CalmMove(task_id, later, 7, open_hour=3, open_counts=b"\0\1")
        calm.move_calm_tasks(session, moves=[move])

    assert row_of(database, task_id) == before | {
        "completed_at": later,
        "last_severity_update": later,
        "applied_lease_no": 7,
        "open_hour": 3,
        "open_counts": b"\0\1",
    }


@pytest.mark.parametrize(
    "bits", [FRESH, 0b1000, 0b1101, FULL >> 1, FULL - 1, FULL, FULL | 1, 2 * FULL - 1]
)
def test_a_calm_move_adds_a_run_to_the_history_as_the_rule_does(
    database, task_id, now, bits
):
    with database.transaction() as session:
        session.execute(update(Task).values(run_history=bits))

    with database.transaction() as session:
        calm.move_calm_tasks(session, moves=[CalmMove(task_id, now, 7)])

    assert glance(database, task_id).is_calm
    history = RunHistory(row_of(database, task_id)["run_history"])
    assert history == RunHistory(bits).push(failed=False)


@pytest.fixture
def calm_ids(database, now) -> list[int]:
    """Three calm tasks of a group that are alike, and one of another group."""
    with database.transaction() as session:
        names = ["status-is", "body-contains", "headers-have"]
        ids = task_ids(session, add_group(session, "a", due_at=now, checks=names).id)
        ids += task_ids(session, add_group(session, "b", due_at=now).id)
        session.execute(
            update(Task).values(
                severity=Severity.OK, last_status=Status.SUCCESS, severity_since=now,
                completed_at=now, run_history=ALL_OK, applied_lease_no=6, open_hour=3,
                open_counts=b"\0\1",
            )
        )  # fmt: skip
    return ids


def spans_of(database, *ranges):
    with database.transaction() as session:
        return calm.lock_spans(session, ranges=ranges)[0]


def test_calm_tasks_that_are_alike_make_a_span(database, calm_ids):
    first, _, last, other = calm_ids
    with database.reading() as session:
        group_id, domain = session.execute(
            select(Task.group_id, Task.domain).where(Task.id == first)
        ).one()

    spans = spans_of(database, (first, last), (other, other), (other + 1, other + 2))

    assert spans.keys() == {(first, last), (other, other)}
    checks = ["status-is", "body-contains", "headers-have"]
    assert spans[first, last] == (group_id, domain, 6, 3, b"\0\1", checks)


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(
    "change",
    [
        {"applied_lease_no": 7}, {"open_hour": 4}, {"open_hour": None},
        {"open_counts": b"\0\2"}, {"open_counts": None}, {"archived_at": EPOCH},
        {"unbroken_since": 1}, {"left_out": 1}, {"severity": Severity.WARNING},
        {"told_severity": Severity.WARNING}, {"group_id": None},
    ],
    ids=str,
)  # fmt: skip
def test_tasks_of_which_one_is_different_make_no_span(
    database, calm_ids, place, change
):
    first, _, last, _ = calm_ids
    with database.transaction() as session:
        which = Task.id == calm_ids[place]
        session.execute(update(Task).where(which).values(change))

    assert not spans_of(database, (first, last))


@pytest.mark.parametrize(
    "change",
    [
        {"archived_at": EPOCH}, {"unbroken_since": 1}, {"left_out": 1},
        {"severity": Severity.WARNING}, {"group_id": None},
    ],
    ids=str,
)  # fmt: skip
def test_tasks_that_are_alike_but_not_calm_make_no_span(database, calm_ids, change):
    with database.transaction() as session:
        session.execute(update(Task).values(change))

    assert not spans_of(database, (calm_ids[0], calm_ids[2]))


def test_tasks_of_two_groups_make_no_span(database, calm_ids):
    assert not spans_of(database, (calm_ids[0], calm_ids[3]))
    assert not spans_of(database, (calm_ids[0], calm_ids[2] + 9))


def test_ranges_are_moved_as_their_tasks_would_be(database, now):
    later = now + timedelta(minutes=5)
    with database.transaction() as session:
        ids = task_ids(
            session, add_group(session, "a", due_at=now, checks=["status-is"] * 4).id
        )

    with database.transaction() as session:
        calm.move_ranges(session, moves=[RangeMove(later, 7, 3, b"\0\1", *ids[1:3])])

    rows = [row_of(database, id_) for id_ in ids]
    assert [row["completed_at"] for row in rows] == [None, later, later, None]
    with database.transaction() as session:
        move = CalmMove(ids[0], later, 7, open_hour=3, open_counts=b"\0\1")
        calm.move_calm_tasks(session, moves=[move])
    ignored = {"id", "key"}
    single = row_of(database, ids[0])
    assert {k: v for k, v in single.items() if k not in ignored} == {
        k: v for k, v in rows[1].items() if k not in ignored
    }


def row_of(database, task_id):
    with database.reading() as session:
        columns = Task.__table__.columns
        row = session.execute(select(*columns).where(columns.id == task_id)).one()
    return dict(row._mapping)


def test_all_that_a_task_remembers_is_looked_at():
    looked_at = {"id", "group_id", "domain", "check", "expected", "archived_at"}
    looked_at |= {"recheck_delay", "retry_before_notification", "confirm"}
    looked_at |= {"recoveries_before_notification", "event_count", "applied_lease_no"}
    looked_at |= {"add_alerts_recipients", "overwrite_alerts_recipients"}
    looked_at |= {"open_hour", "open_counts", "doubted_since", "url", "frequency"}
    looked_at |= {"location", "quorum", "watch_key", "run_history"}
    for name in results.TaskRow._fields:
        assert name in looked_at or name in calm.IS_CALM, (
            f"{name} is new: can a task be calm whatever it holds?"
        )
