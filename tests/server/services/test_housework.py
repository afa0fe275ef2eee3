"""Each duty by itself: what it deletes, mends and does."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from argos.core.schedule import grid_offset
from argos.core.severity import Severity, Status
from argos.errors import ConfigError
from argos.server.models import (
    Delivery,
    DeliveryState,
    DeliveryTarget,
    Job,
    JobKind,
    LoginSession,
    Result,
    Schedule,
    Task,
    User,
)
from argos.server.queries import partitions
from argos.server.queries.deliveries import list_due_recipients
from argos.server.queries.overtaken import LONGEST_CLAIM
from argos.server.services import duties
from argos.server.services.duties import all_duties
from argos.server.services.upkeep import Duty, Means, Upkeep
from tests.server.factories import add_group, task_ids

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def test_all_duties_run_on_an_empty_database(keep, database, caplog):
    todo = all_duties(database, reload=lambda path: None)

    keep(*todo).do_due()

    assert "failed" not in caplog.text
    assert len({duty.name for duty in todo}) == len(todo)


# -- retention


def add_results(database, now, ages: list[timedelta]) -> None:
    with database.transaction() as session:
        group = add_group(session, "a", due_at=now)
        (task_id,) = task_ids(session, group.id)
        for age in ages:
            session.add(
                Result(
                    task_id=task_id,
                    submitted_at=now - age,
                    status=Status.SUCCESS,
                    severity=Severity.OK,
                )
            )
            session.flush()


def ages_left(database, now) -> list[timedelta]:
    with database.reading() as session:
        moments = session.scalars(select(Result.submitted_at).order_by(Result.id))
        return [now - moment for moment in moments]


def test_outdated_results_are_deleted_in_small_steps(sqlite_database, clock, config):
    day = timedelta(days=1)
    old = [7 * day + HOUR + timedelta(seconds=place) for place in range(25, 0, -1)]
    recent = [timedelta(seconds=place) for place in range(20, 0, -1)]
    add_results(sqlite_database, clock.now, [*old, *recent])
    means = Means(sqlite_database, clock, lambda: config, "server 1")
    in_tens = partial(duties.delete_old_results, chunk_rows=10)
    upkeep = Upkeep(means, [Duty("retention", MINUTE, in_tens)])
    upkeep.enter()

    upkeep.do_due()

    assert ages_left(sqlite_database, clock.now) == recent


def test_results_stay_an_hour_longer_than_the_config_says(
    sqlite_database, clock, config
):
    age = timedelta(days=7, hours=1)
    add_results(sqlite_database, clock.now, [age])
    means = Means(sqlite_database, clock, lambda: config, "server 1")
    upkeep = Upkeep(means, [Duty("retention", MINUTE, duties.delete_old_results)])
    upkeep.enter()

    upkeep.do_due()

    assert ages_left(sqlite_database, clock.now) == [age]


def test_outdated_days_are_dropped_and_new_ones_made(
    postgresql_database, clock, config, caplog
):
    database = postgresql_database
    means = Means(database, clock, lambda: config, "server 1")
    upkeep = Upkeep(
        means,
        [
            Duty("partitions", MINUTE, duties.make_partitions),
            Duty("retention", MINUTE, duties.drop_old_partitions),
        ],
    )
    upkeep.enter()
    upkeep.do_due()
    add_results(database, clock.now, [timedelta(hours=1), timedelta(days=-2)])
    first_day = clock.now.date()

    clock.move(days=8)
    upkeep.do_due()

    assert "failed" not in caplog.text
    with database.reading() as session:
        days = partitions.list_partitions(session)
    assert first_day not in days
    assert clock.now.date() + timedelta(days=3) in days
    assert ages_left(database, clock.now) == [timedelta(days=6)]


def test_strays_beyond_all_days_are_deleted_too(postgresql_database, clock, config):
    database = postgresql_database
    add_results(
        database,
        clock.now,
        [timedelta(days=8, seconds=place) for place in range(25)] + [timedelta(0)],
    )
    means = Means(database, clock, lambda: config, "server 1")
    in_tens = partial(duties.drop_old_partitions, chunk_rows=10)
    upkeep = Upkeep(means, [Duty("retention", MINUTE, in_tens)])
    upkeep.enter()

    upkeep.do_due()

    assert ages_left(database, clock.now) == [timedelta(0)]


# -- logins, queue, jobs


def test_logins_that_are_over_are_forgotten(keep, database, clock):
    with database.transaction() as session:
        session.add(User(username="ada", password="x"))
        session.flush()
        for place, ends in enumerate([-1, 1]):
            session.add(
                LoginSession(
                    digest=bytes([place] * 32),
                    username="ada",
                    created_at=clock.now,
                    seen_at=clock.now,
                    expires_at=clock.now + timedelta(seconds=ends),
                )
            )

    keep(Duty("logins", MINUTE, duties.forget_logins)).do_due()

    with database.reading() as session:
        assert session.scalars(select(LoginSession.digest)).all() == [bytes([1] * 32)]


def test_groups_that_a_wrong_clock_put_off_come_back_to_the_grid(
    keep, database, clock, caplog
):
    with database.transaction() as session:
        far = add_group(session, "far", due_at=clock.now + timedelta(days=365))
        held = add_group(
            session,
            "held",
            due_at=clock.now + timedelta(days=365),
            leased_at=clock.now + timedelta(days=365),
            lease_no=4,
        )
        near = add_group(session, "near", due_at=clock.now + 5 * MINUTE)
        due = add_group(session, "due", due_at=clock.now - 5 * MINUTE)

    keep(Duty("queue", MINUTE, duties.mend_queue)).do_due()

    with database.reading() as session:
        after = {row.id: row for row in session.scalars(select(Schedule))}
    for group in (far, held):
        row = after[group.id]
        assert clock.now < row.due_at <= clock.now + 5 * MINUTE
        offset = grid_offset(row.key, 5 * MINUTE)
        assert (row.due_at - offset).timestamp() % 300 == pytest.approx(0, abs=1e-5)
    assert after[far.id].next_run == after[far.id].due_at
    assert after[held.id].next_run is None
    assert after[near.id].due_at == near.due_at
    assert after[due.id].due_at == due.due_at
    assert "2 task groups were due too late" in caplog.text


@pytest.mark.parametrize(
    "target",
    [
        pytest.param({"failures": 0}, id="that is told of all together"),
        pytest.param({"failures": 3, "failed_after": HOUR}, id="that failed"),
    ],
)
def test_i36_notices_that_a_wrong_clock_put_off_go_out(keep, database, clock, target):
    later = clock.now + HOUR
    row = DeliveryTarget(recipient="mail", next_at=later, failures=target["failures"])
    if "failed_after" in target:
        row.failed_at = clock.now + target["failed_after"]
    with database.transaction() as session:
        session.add(row)
        for place, claimed_by in enumerate((None, "other")):
            session.add(
                Delivery(
                    notice={},
                    recipient="mail",
                    state=DeliveryState.WAITING,
                    created_at=later,
                    due_at=later,
                    claimed_by=claimed_by,
                    attempts=0,
                    message_id=str(place),
                )
            )

    keep(Duty("queue", MINUTE, duties.mend_queue)).do_due()

    with database.reading() as session:
        assert list_due_recipients(session, now=clock.now) == ["mail"]
        due = session.scalars(select(Delivery.due_at).order_by(Delivery.id)).all()
        (failed_at,) = session.scalars(select(DeliveryTarget.failed_at))
    assert due == [clock.now, clock.now + LONGEST_CLAIM]
    assert failed_at == (clock.now if "failed_after" in target else None)


def test_i36_who_asked_for_a_pause_gets_it(keep, database, clock):
    later = clock.now + timedelta(hours=5)
    with database.transaction() as session:
        session.add(
            DeliveryTarget(
                recipient="mail", next_at=later, failures=1, failed_at=clock.now
            )
        )

    keep(Duty("queue", MINUTE, duties.mend_queue)).do_due()

    with database.reading() as session:
        assert session.scalars(select(DeliveryTarget.next_at)).all() == [later]


def test_tasks_whose_runs_bring_no_report_are_shown_as_unknown_once(
    told, keep, database, clock
):
    with database.transaction() as session:
        ok = {"severity": Severity.OK, "last_status": Status.SUCCESS}
        stalled = add_group(session, "a", due_at=clock.now, expired_leases=3, tasks=ok)
        add_group(session, "b", due_at=clock.now, expired_leases=2, tasks=ok)
        add_group(session, "c", due_at=clock.now, expired_leases=9)
        archived = {**ok, "archived_at": clock.now}
        add_group(session, "d", due_at=clock.now, expired_leases=9, tasks=archived)
        (task_id,) = task_ids(session, stalled.id)
    upkeep = keep(Duty("stalls", MINUTE, duties.show_stalls))

    for _ in "123":
        upkeep.do_due()
        clock.move(minutes=1)

    with database.reading() as session:
        task = session.get_one(Task, task_id)
        (result,) = session.scalars(select(Result))
        severities = list(session.scalars(select(Task.severity).order_by(Task.id)))
    assert severities == ["unknown", "ok", "unknown", "ok"]
    assert (task.last_status, task.told_severity) == (Status.ERROR, Severity.OK)
    assert (result.task_id, result.agent_id) == (task_id, None)
    assert result.submitted_at == task.completed_at == task.severity_since
    assert "never reported" in result.context["error_message"]
    assert told() == []


def test_jobs_are_done_in_order_and_removed_even_when_they_fail(
    keep, database, clock, caplog
):
    done: list[str] = []

    def reload(path: str) -> None:
        done.append(path)
        if path == "broken.yaml":
            raise ConfigError([])

    with database.transaction() as session:
        for path, current in [
            ("a.yaml", True),
            ("broken.yaml", False),
            ("b.yaml", False),
        ]:
            session.add(Job(todo=JobKind.RELOAD_CONFIG, args=path, current=current))
            session.flush()

    keep(Duty("jobs", MINUTE, lambda work: duties.run_jobs(work, reload))).do_due()

    with database.reading() as session:
        assert session.scalars(select(Job)).all() == []
    assert done == ["a.yaml", "broken.yaml", "b.yaml"]
    assert "Job 1 was cut off; it begins anew." in caplog.text
    assert "Job 2 failed: RELOAD_CONFIG broken.yaml" in caplog.text


def test_job_of_a_server_that_died_stays_marked(keep, database):
    def die(path: str) -> None:
        raise SystemExit

    with database.transaction() as session:
        session.add(Job(todo=JobKind.RELOAD_CONFIG, args="a.yaml"))

    with pytest.raises(SystemExit):
        keep(Duty("jobs", MINUTE, lambda work: duties.run_jobs(work, die))).do_due()

    with database.reading() as session:
        assert session.scalars(select(Job.current)).all() == [True]
