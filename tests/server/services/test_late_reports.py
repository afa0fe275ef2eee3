"""Reports that come again, come late, or are refused, and why; those of 0.10.3."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from argos.core.severity import Severity
from argos.server.models import Delivery, Event, Result, Schedule, Task
from argos.server.services.duties import all_duties
from tests.server.recount import read_kinds
from tests.server.services.reporting import SECOND, legacy, measured, reasons

MINUTE = timedelta(minutes=1)

# -- repeats, late results and refusals


def test_report_posted_twice_counts_once_and_answers_the_same(server, add):
    add(checks=["status-is", "body-like"])
    items = [measured(task, "failure") for task in server.lease()]
    server.now += SECOND
    first = server.post(items)
    before = [vars(row).copy() for row in [*server.all(Task), *server.all(Schedule)]]

    server.now += SECOND
    second = server.post(items)

    after = [vars(row).copy() for row in [*server.all(Task), *server.all(Schedule)]]
    for row in [*before, *after]:
        row.pop("_sa_instance_state")
        row.pop("schedule", None)
    assert second == first
    assert after == before
    assert len(server.all(Result)) == 2
    assert len(server.all(Event)) == len(server.all(Delivery)) == 2


def test_the_same_item_twice_in_one_report_counts_once(server, add):
    add()
    (task,) = server.lease()
    server.now += SECOND

    answer = server.post([measured(task, "failure")] * 2)

    result = server.one(Result)
    assert answer.result_ids == [result.id, result.id]
    assert server.one(Task).contiguous_failures == 1


def test_second_measurement_under_one_lease_is_stored_and_moves_nothing(server, add):
    add()
    (task,) = server.lease()
    server.now += 3 * SECOND
    server.post([measured(task)])

    server.post([measured(task, "failure", elapsed_us=2_000_000)])

    assert server.one(Task).severity is Severity.OK
    assert [result.is_late for result in server.all(Result)] == [False, True]


def test_result_under_an_expired_lease_counts_if_nobody_else_leased(server, add):
    add()
    (task,) = server.lease()
    server.now += timedelta(seconds=300)

    server.post([measured(task, elapsed_us=299_000_000)])

    assert server.one(Task).severity is Severity.OK
    assert not server.one(Result).is_late


def test_late_result_is_stored_and_moves_nothing(server, add):
    add()
    (late,) = server.lease("anna")
    server.now += timedelta(seconds=45)
    (current,) = server.lease("bert")
    server.now += SECOND

    answer = server.post([measured(late, "failure")], agent="anna")

    assert len(answer.result_ids) == 1
    assert server.one(Result).is_late
    assert server.one(Task).severity is Severity.UNKNOWN
    assert server.one(Task).completed_at is None
    assert server.one(Schedule).leased_by == "bert"

    server.post([measured(current)], agent="bert")
    assert server.one(Task).severity is Severity.OK
    assert server.all(Event) == []


@pytest.mark.parametrize(
    ("changes", "agent", "reason"),
    [
        ({"lease_no": 2}, "anna", "This lease was never given out."),
        ({}, "bert", "Another agent holds this lease."),
        ({"task_id": 999}, "anna", "There is no such task."),
        ({"elapsed_us": 60_000_000}, "anna", None),
        (
            {"leased_at": "2026-03-14T12:01:00Z"},
            "anna",
            "It was measured in the future.",
        ),
        ({"leased_at": "2026-02-01T00:00:00Z"}, "anna", "It is older than 30 days."),
        (
            {"leased_at": "2026-03-14T12:00:00"},
            "anna",
            "leased_at: it has no time zone.",
        ),
    ],
    ids=[
        "lease of the future",
        "another's lease",
        "unknown task",
        "our clock was set back",
        "from the future",
        "too old",
        "naive moment",
    ],
)
def test_refused_item_stores_and_moves_nothing(server, add, changes, agent, reason):
    add()
    (task,) = server.lease()
    server.now += SECOND

    answer = server.post([measured(task) | changes], agent=agent)

    if reason is None:
        assert (answer.refused, len(server.all(Result))) == ([], 1)
        assert server.one(Result).submitted_at == server.now
        return
    assert reasons(answer) == [(0, reason)]
    assert (answer.result_ids, server.all(Result)) == ([], [])
    assert server.one(Task).severity is Severity.UNKNOWN
    assert server.one(Schedule).leased_at is not None


@pytest.mark.parametrize("set_right", [False, True], ids=["still wrong", "right again"])
def test_a_repeat_is_known_after_our_clock_was_set_back(server, add, set_right):
    add()
    (task,) = server.lease()
    server.now -= timedelta(hours=1)
    first = server.post([measured(task)])

    server.now += timedelta(hours=1, seconds=2) if set_right else SECOND
    again = server.post([measured(task)])

    assert again == first
    assert [result.is_late for result in server.all(Result)] == [False]


def test_result_of_an_archived_task_is_stored_late(server, add):
    add()
    (task,) = server.lease()
    server.change_tasks(archived_at=server.now, group_id=None)
    server.now += SECOND

    answer = server.post([measured(task, "failure")])

    assert len(answer.result_ids) == 1
    assert server.one(Result).is_late
    assert server.one(Task).severity is Severity.UNKNOWN


# -- results of which the rows are gone


DAYS = timedelta(days=7)
"""For so long the config keeps results."""


@pytest.fixture
def retain(server, clock, keep) -> Callable[[], None]:
    def retain() -> None:
        clock.now = server.now
        duties = all_duties(server.database, reload=lambda _: None)
        keep(*(duty for duty in duties if duty.name == "retention")).do_due()

    return retain


@pytest.mark.parametrize("minutes", [-1, 1, 29, 31, 59, 61, 1_500, 30_000])
def test_a_repeat_counts_once_whether_or_not_its_row_is_gone(
    server, add, retain, minutes
):
    add()
    (task,) = server.lease()
    server.now += SECOND
    server.post([measured(task)])
    server.now += DAYS + minutes * MINUTE
    retain()

    server.post([measured(task)])

    with server.database.reading() as session:
        assert sum(read_kinds(session).values()) == 1


@pytest.mark.parametrize("set_back", [timedelta(0), timedelta(minutes=20)])
def test_it_does_whatever_the_clocks_of_two_servers_say(server, add, retain, set_back):
    add()
    (task,) = server.lease()
    server.now += SECOND
    server.post([measured(task)])
    server.now += DAYS + timedelta(hours=1, minutes=1)
    retain()
    server.now -= set_back

    server.post([measured(task)])

    with server.database.reading() as session:
        assert sum(read_kinds(session).values()) == 1


@pytest.mark.parametrize(("minutes", "is_taken"), [(29, True), (31, False)])
def test_what_comes_for_the_first_time_is_taken_as_long_as_rows_stay(
    server, add, minutes, is_taken
):
    add()
    (task,) = server.lease()
    server.now += SECOND + DAYS + minutes * MINUTE

    answer = server.post([measured(task)])

    assert len(server.all(Result)) == is_taken
    reason = [] if is_taken else [(0, "It is older than results are kept.")]
    assert reasons(answer) == reason


# -- agents of 0.10.3


def test_agent_of_0_10_3_moves_what_it_holds(server, add):
    add()
    (task,) = server.lease()
    server.now += SECOND

    answer = server.post([legacy(task, "failure")])

    result = server.one(Result)
    assert answer.result_ids == [result.id]
    assert (result.submitted_at, result.received_at) == (server.now, None)
    assert server.one(Task).severity is Severity.CRITICAL


def test_agent_of_0_10_3_that_lost_its_lease_moves_nothing(server, add):
    add()
    (task,) = server.lease("anna")
    server.now += timedelta(seconds=45)
    server.lease("bert")

    server.post([legacy(task, "failure")], agent="anna")

    assert server.one(Result).is_late
    assert server.one(Task).severity is Severity.UNKNOWN


def test_repeat_of_an_agent_of_0_10_3_moves_nothing(server, add):
    add()
    (task,) = server.lease()
    server.now += SECOND
    server.post([legacy(task, "failure")])

    server.now += SECOND
    server.post([legacy(task, "failure")])

    assert server.one(Task).contiguous_failures == 1
    assert [result.is_late for result in server.all(Result)] == [False, True]


def test_item_of_a_task_that_nobody_leased_is_late(server, add):
    add()
    with server.database.reading() as session:
        task_id = session.scalars(select(Task.id)).one()

    answer = server.post([{"task_id": task_id, "status": "success", "context": {}}])

    assert len(answer.result_ids) == 1
    assert server.one(Task).completed_at is None
