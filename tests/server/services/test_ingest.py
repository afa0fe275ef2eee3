"""Reports: what is stored, what moves, and what many of them do at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from argos.core.schedule import next_run
from argos.core.severity import Severity, Status
from argos.protocol import ReportAnswer
from argos.server.models import Delivery, Event, Incident, Result, Schedule, Task
from argos.server.queries.leased import LeaseTerms
from argos.server.queries.leases import lease_groups
from tests.server.services.reporting import SECOND, measured

# -- what is stored


def test_result_is_stored_with_moment_severity_context_and_timings(server, add):
    add()
    (task,) = server.lease()
    leased_at = server.now
    server.now += 2 * SECOND

    answer = server.post([
        measured(
            task,
            "failure",
            elapsed_us=1_500_000,
            context={"reason": "status 500"},
            timings={"dns_us": 1, "total_us": 1_400_000, "timing_error_us": 7},
        )
    ])

    result = server.one(Result)
    assert answer == ReportAnswer(result_ids=[result.id], refused=[])
    assert result.submitted_at == leased_at + timedelta(seconds=1.5)
    assert result.received_at is None, "it came at once"
    assert (result.status, result.severity) == (Status.FAILURE, Severity.CRITICAL)
    assert result.context == {"reason": "status 500"}
    assert (result.agent_id, result.is_late) == ("anna", False)
    assert (result.dns_us, result.tls_us, result.total_us) == (1, None, 1_400_000)
    assert result.timing_error_us == 7


@pytest.mark.parametrize(
    ("status", "severity"),
    [("success", "ok"), ("failure", "critical"), ("error", "unknown")],
)
def test_status_decides_the_severity_of_most_checks(server, add, status, severity):
    add()

    server.run(status)

    assert server.one(Task).severity == severity
    assert server.one(Task).status == status


def test_check_that_leaves_judging_to_the_server_is_judged_by_the_config(server, add):
    add(checks=["ssl-certificate-expiration"])

    server.run("on-check", context={"expires_in": 3})

    result = server.one(Result)
    assert (result.status, result.severity) == (Status.FAILURE, Severity.WARNING)


def test_on_check_for_any_other_check_is_our_own_error(server, add):
    add()

    server.run("on-check")

    result = server.one(Result)
    assert (result.status, result.severity) == (Status.ERROR, Severity.UNKNOWN)


def test_result_of_a_check_that_we_do_not_know_is_judged_by_its_status(server, add):
    add(checks=["of-a-later-version"])

    server.run("failure")

    assert server.one(Task).severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("check", "status", "kept"),
    [
        ("status-is", "success", {}),
        ("status-is", "failure", {"retrieved": 200}),
        ("status-in", "success", {"retrieved": 200}),
        ("of-a-later-version", "success", {"retrieved": 200}),
    ],
)
def test_a_success_that_says_nothing_new_takes_no_room(
    server, add, check, status, kept
):
    add(checks=[check])

    server.run(status, context={"retrieved": 200})

    assert server.one(Result).context == kept


# -- what moves


def test_result_moves_its_task_and_plans_the_next_run(server, add):
    group = add(timeout_s=10.0)
    measured_at = server.now + SECOND

    server.run("success")

    task, schedule = server.one(Task), server.one(Schedule)
    assert task.severity is Severity.OK
    assert task.completed_at == task.last_severity_update == measured_at
    assert task.severity_since == measured_at
    assert task.last_status is Status.SUCCESS
    assert task.applied_lease_no == 1
    assert schedule.leased_at is None
    assert schedule.leased_by == "anna"
    assert schedule.due_at == schedule.next_run == task.next_run
    assert measured_at < schedule.due_at <= measured_at + timedelta(minutes=5)
    assert schedule.id == group.id


def test_severity_since_stays_while_the_severity_does(server, add):
    add()
    server.run("failure")
    since = server.one(Task).severity_since

    server.now = server.one(Schedule).due_at
    server.run("failure")

    task = server.one(Task)
    assert task.severity_since == since
    assert task.last_severity_update == task.completed_at > since


def test_runs_lie_on_a_grid_however_late_the_result_is(server, add):
    add()
    moments = []
    for late_s in (1, 7, 30):
        (task,) = server.lease()
        server.now += timedelta(seconds=late_s)
        server.post([measured(task, elapsed_us=late_s * 1_000_000)])
        server.now = server.one(Schedule).due_at
        moments.append(server.now)

    assert moments[1] - moments[0] == moments[2] - moments[1] == timedelta(minutes=5)


def test_run_that_ends_before_its_moment_is_not_run_again(server, add):
    add("a")
    server.run()
    planned = server.one(Schedule).next_run
    server.now = planned - SECOND
    with server.database.transaction() as session:
        [task] = lease_groups(
            session,
            agent="anna",
            pools=[0],
            limit=1,
            now=server.now,
            terms=LeaseTerms(ahead=2 * SECOND),
        ).read_tasks()

    server.post([measured(task, elapsed_us=999_999)])

    schedule = server.one(Schedule)
    assert schedule.next_run == planned + timedelta(minutes=5)
    assert schedule.missed_runs == 0


def test_run_comes_sooner_while_any_task_of_the_group_is_not_ok(server, add):
    add(checks=["status-is", "body-like"], tasks={"recheck_delay": 0.5})
    first, second = server.lease()
    server.now += SECOND

    server.post([measured(first), measured(second, "failure")])

    assert server.one(Schedule).due_at == server.now + timedelta(seconds=30)
    assert [task.already_retried for task in server.all(Task)] == [False, True]

    server.now = server.one(Schedule).due_at
    server.run("success")
    schedule = server.one(Schedule)
    frequency = timedelta(minutes=5)
    assert schedule.due_at == next_run(
        server.now, frequency=frequency, key=schedule.key
    )
    assert not any(task.already_retried for task in server.all(Task))


def test_group_reported_in_two_parts_keeps_the_sooner_run(server, add):
    add(checks=["status-is", "body-like"], tasks={"recheck_delay": 0.5})
    first, second = server.lease()
    server.now += SECOND

    server.post([measured(first, "failure")])
    server.post([measured(second)])

    assert server.one(Schedule).due_at == server.now + timedelta(seconds=30)
    assert [task.severity for task in server.all(Task)] == ["critical", "ok"]
    assert [result.is_late for result in server.all(Result)] == [False, False]


def test_runs_that_never_took_place_are_counted(server, add):
    add()
    server.run()
    server.now = server.one(Schedule).due_at + timedelta(minutes=15)

    server.run()

    assert server.one(Schedule).missed_runs == 3


def test_report_ends_the_count_of_expired_leases(server, add):
    add(expired_leases=4)

    server.run()

    assert server.one(Schedule).expired_leases == 0


@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("recheck_delay", [None, 0.5])
def test_batch_moves_a_task_as_its_own_method_does(
    server, add, severity, recheck_delay
):
    statuses = {
        Severity.OK: ("on-check", {"expires_in": 30}),
        Severity.WARNING: ("on-check", {"expires_in": 3}),
        Severity.CRITICAL: ("on-check", {"expires_in": 0}),
        Severity.UNKNOWN: ("error", {}),
    }
    checks = ["ssl-certificate-expiration"]
    add("batch", checks=checks, tasks={"recheck_delay": recheck_delay})
    add("batch2", checks=checks, tasks={"recheck_delay": recheck_delay})
    status, context = statuses[severity]
    task, other = server.lease()
    moment = server.now + SECOND
    server.now = moment

    server.post([measured(task, status, context=context)])
    with server.database.transaction() as session:
        by_method = session.get_one(Task, other.id)
        # The same grid, so that the next runs can be compared.
        by_method.schedule.key = session.get_one(Task, task.id).schedule.key[::-1]
        by_method.schedule.key = session.get_one(Task, task.id).schedule.key[:15] + b"?"
        by_method.set_times_severity_and_deselect(severity, moment)

    by_batch, by_method = server.all(Task)
    for name in (
        *("severity", "severity_since", "last_severity_update", "completed_at"),
        *("already_retried", "selected_at", "selected_by", "next_run"),
    ):
        assert getattr(by_batch, name) == getattr(by_method, name), name


# -- many at once


def test_each_item_stands_for_itself(server, add):
    for name in "abc":
        add(name)
    first, second, third = server.lease()
    server.now += SECOND

    answer = server.post([
        "no object",
        measured(first),
        {"task_id": second.id, "status": "fine", "context": {}},
        {"task_id": 10**30, "status": "success", "context": {}},
        measured(third, context={"config": 1, "result": float("nan"), "cls": "\0"}),
        {"status": "success", "context": {}},
        None,
    ])

    assert len(answer.result_ids) == 2
    assert [refusal.index for refusal in answer.refused] == [0, 2, 3, 5, 6]
    assert [refusal.task_id for refusal in answer.refused] == [
        None, second.id, None, None, None
    ]  # fmt: skip
    assert [result.task_id for result in server.all(Result)] == [first.id, third.id]
    assert server.all(Result)[1].context == {
        "config": 1, "result": "nan", "cls": "\\u0000"
    }  # fmt: skip


def test_ids_come_in_the_order_of_the_items(server, add):
    for place in range(30):
        add(f"site{place}")
    tasks = server.lease()[::-1]
    server.now += SECOND

    answer = server.post([measured(task) for task in tasks])

    by_id = {result.id: result.task_id for result in server.all(Result)}
    assert [by_id[id_] for id_ in answer.result_ids] == [task.id for task in tasks]


def test_long_report_is_taken_over_in_parts(server, add):
    add()
    (task,) = server.lease()
    server.now += SECOND
    bad = [{"task_id": 0}] * 1_200

    answer = server.post([*bad, measured(task), "x"])

    assert len(answer.result_ids) == 1
    assert [refusal.index for refusal in answer.refused] == [*range(1_200), 1_201]


def test_empty_report_is_fine(server):
    assert server.post([]) == ReportAnswer(result_ids=[], refused=[])


def test_reports_posted_at_once_by_many_count_once(server, add):
    for place in range(20):
        add(f"site{place}", checks=["status-is", "body-like"])
    items = [measured(task, "failure") for task in server.lease()]
    server.now += SECOND
    barrier = threading.Barrier(6)

    def post(turn: int) -> Any:
        barrier.wait()
        # Each in another order: locks are taken in one order all the same.
        return server.post(items[turn:] + items[:turn])

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(post, range(6)))

    assert len({frozenset(answer.result_ids) for answer in answers}) == 1
    assert len(server.all(Result)) == 40
    assert {task.contiguous_failures for task in server.all(Task)} == {1}
    assert len(server.all(Incident)) == len(server.all(Event)) == 40
    assert len(server.all(Delivery)) == 40


def test_leasing_and_reporting_at_once_lose_nothing(server, add):
    for place in range(30):
        add(f"site{place}", frequency=0.0)
    posted: list[int] = []

    def work(agent: str) -> None:
        for _ in range(15):
            tasks = server.lease(agent)
            answer = server.post([measured(task) for task in tasks], agent=agent)
            assert answer.refused == []
            posted.extend(answer.result_ids)

    server.now += SECOND
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, "abcd"))

    assert sorted(posted) == sorted(result.id for result in server.all(Result))
    assert len(posted) == len(set(posted))
