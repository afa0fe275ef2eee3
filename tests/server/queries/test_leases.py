"""The queue: order, limits, expiry, back-off, release, and leasers at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from argos.protocol import HeldLease
from argos.server.database import Database
from argos.server.models import Schedule, Task
from argos.server.queries.leased import LeasedTask, LeaseTerms
from argos.server.queries.leases import (
    DUE_NOW,
    get_next_due_at,
    lease_groups,
    release_groups,
)
from tests.server.factories import add_group, add_groups

ALL_POOLS = [0, 1, 2, 3]
AHEAD = LeaseTerms(ahead=timedelta(seconds=1))


def lease(
    database: Database,
    now: datetime,
    *,
    agent: str = "anna",
    limit: int = 500,
    pools: list[int] | None = None,
    terms: LeaseTerms = DUE_NOW,
) -> list[LeasedTask]:
    with database.each_alone() as session:
        return lease_groups(
            session,
            agent=agent,
            pools=ALL_POOLS if pools is None else pools,
            limit=limit,
            now=now,
            terms=terms,
        ).read_tasks()


def get_schedule(database: Database, id_: int) -> Schedule:
    with database.reading() as session:
        return session.scalars(select(Schedule).where(Schedule.id == id_)).one()


def test_leased_group_is_held_until_probe_deadline_and_margin_have_passed(
    database, now
):
    with database.transaction() as session:
        group = add_group(session, "a", due_at=now, timeout_s=20.0)

    lease(database, now)

    schedule = get_schedule(database, group.id)
    assert schedule.due_at == now + timedelta(seconds=35)
    assert (schedule.lease_no, schedule.leased_by) == (1, "anna")
    assert schedule.leased_at == now
    assert schedule.next_run is None


def test_lease_lasts_at_least_as_long_as_asked(database, now):
    with database.transaction() as session:
        group = add_group(session, "a", due_at=now)

    lease(database, now, terms=LeaseTerms(min_lease=timedelta(seconds=100)))

    assert get_schedule(database, group.id).due_at == now + timedelta(seconds=100)


def test_group_that_falls_due_soon_is_leased_ahead_and_held_from_its_moment_on(
    database, now
):
    soon, later = (now + timedelta(seconds=seconds) for seconds in (0.75, 1.25))
    with database.transaction() as session:
        group = add_group(session, "a", due_at=soon, next_run=soon)
        add_group(session, "b", due_at=later, next_run=later)

    tasks = lease(database, now, terms=AHEAD)

    assert [(task.group_id, task.due_in_s) for task in tasks] == [(group.id, 0.75)]
    schedule = get_schedule(database, group.id)
    assert schedule.due_at == soon + timedelta(seconds=45)
    assert (schedule.leased_at, schedule.next_run) == (now, soon)


@pytest.mark.parametrize("next_run_s", [-20.0, None, 0.0, 60.0])
def test_group_that_is_due_is_due_at_once(database, now, next_run_s):
    planned = None if next_run_s is None else now + timedelta(seconds=next_run_s)
    with database.transaction() as session:
        add_group(session, "a", due_at=now, next_run=planned)

    [task] = lease(database, now, terms=AHEAD)

    assert task.due_in_s == 0


def test_lease_that_runs_out_soon_is_not_taken_ahead(database, now):
    with database.transaction() as session:
        add_group(session, "a", due_at=now, timeout_s=5.0)
    lease(database, now)
    end = now + timedelta(seconds=20)

    shortly_before = lease(database, end - timedelta(seconds=0.5), terms=AHEAD)

    assert shortly_before == []
    assert len(lease(database, end, terms=AHEAD)) == 1


def test_all_tasks_of_a_group_come_with_it(database, now):
    with database.transaction() as session:
        group = add_group(session, "a", due_at=now, checks=["status-is", "body-like"])

    tasks = lease(database, now)

    assert [(task.check, task.group_id) for task in tasks] == [
        ("status-is", group.id),
        ("body-like", group.id),
    ]


def test_archived_tasks_are_not_handed_out(database, now):
    with database.transaction() as session:
        group = add_group(session, "a", due_at=now, checks=["status-is", "body-like"])
        first = session.scalars(select(Task).order_by(Task.id)).first()
        first.archived_at = now

    tasks = lease(database, now)

    assert [(task.group_id, task.check) for task in tasks] == [(group.id, "body-like")]


@pytest.mark.parametrize("limit", [1, 64, 100, 200])
def test_one_queue_that_holds_all_is_leased_in_order(database, now, limit):
    with database.transaction() as session:
        ids = [
            add_group(
                session, f"s{place}", due_at=now - timedelta(seconds=place), shard=3
            ).id
            for place in range(100)
        ]

    leased = [task.group_id for task in lease(database, now, limit=limit)]

    assert sorted(leased) == sorted(ids[::-1][:limit])


@pytest.mark.parametrize("limit", [0, 1, 7, 20, 500])
def test_as_many_groups_as_asked_for_are_leased(database, now, limit):
    with database.transaction() as session:
        add_groups(session, 20, due_at=now)

    assert len(lease(database, now, limit=limit)) == min(limit, 20)


def test_groups_come_longest_due_first_over_all_shards(database, now):
    with database.transaction() as session:
        ids = add_groups(session, 40, due_at=now)

    batches = [
        {task.group_id for task in lease(database, now, limit=8)} for _ in "1234"
    ]

    ids.reverse()
    assert batches == [set(ids[start : start + 8]) for start in range(0, 32, 8)]


def test_group_that_is_not_due_is_not_leased(database, now):
    with database.transaction() as session:
        add_group(session, "a", due_at=now + timedelta(microseconds=1))

    assert lease(database, now) == []
    assert len(lease(database, now + timedelta(microseconds=1))) == 1


@pytest.mark.parametrize(
    ("pools", "found"),
    [
        ([0], {0}),
        ([0, 1], {0, 1}),
        ([2], {2}),
        ([0, 1, 2, 3], {0, 1, 2, 3}),
        ([], set()),
    ],
    ids=str,
)
def test_only_groups_of_the_named_pools_are_leased(database, now, pools, found):
    with database.transaction() as session:
        names = {
            add_group(session, f"pool{pool}", due_at=now, pool=pool).id: pool
            for pool in range(4)
        }

    tasks = lease(database, now, pools=pools)

    assert {names[task.group_id] for task in tasks} == found


def test_live_lease_is_not_given_again_and_an_expired_one_is(database, now):
    with database.transaction() as session:
        add_group(session, "a", due_at=now)

    assert len(lease(database, now)) == 1
    assert lease(database, now + timedelta(seconds=44)) == []
    (task,) = lease(database, now + timedelta(seconds=45), agent="bert")
    assert (task.lease_no, task.selected_by) == (2, "bert")


def test_group_whose_leases_keep_expiring_is_held_longer_up_to_its_period(
    database, now
):
    with database.transaction() as session:
        group = add_group(session, "poison", due_at=now, frequency=5.0)

    held = []
    for _ in range(8):
        lease(database, now)
        schedule = get_schedule(database, group.id)
        held.append((schedule.expired_leases, (schedule.due_at - now).total_seconds()))
        now = schedule.due_at

    assert held == [
        (0, 45), (1, 45), (2, 45), (3, 90), (4, 180), (5, 300), (6, 300), (7, 300)
    ]  # fmt: skip


def test_poison_group_does_not_keep_others_from_being_leased(database, now):
    with database.transaction() as session:
        poison = add_group(session, "poison", due_at=now - timedelta(days=1))
        other = add_group(session, "other", due_at=now)

    leased = [task.group_id for _ in "12" for task in lease(database, now, limit=1)]

    assert leased == [poison.id, other.id]


def test_lease_of_a_group_that_never_reports_does_not_overflow(database, now):
    with database.transaction() as session:
        group = add_group(
            session, "a", due_at=now, leased_at=now, expired_leases=32_000
        )

    lease(database, now)

    assert get_schedule(database, group.id).expired_leases == 1000


def test_released_group_is_due_at_its_planned_time_again(database, now):
    planned = now - timedelta(seconds=3)
    with database.transaction() as session:
        group = add_group(session, "a", due_at=planned, next_run=planned)
    (task,) = lease(database, now)

    with database.transaction() as session:
        released = release_groups(
            session,
            agent="anna",
            held=[HeldLease(group_id=group.id, lease_no=task.lease_no)],
            now=now,
        )

    schedule = get_schedule(database, group.id)
    assert released == [group.id]
    assert (schedule.due_at, schedule.leased_at) == (planned, None)
    (again,) = lease(database, now)
    assert again.lease_no == 2
    assert get_schedule(database, group.id).expired_leases == 0


def test_group_released_before_it_is_due_stays_due_as_planned(database, now):
    planned = now + timedelta(seconds=1)
    with database.transaction() as session:
        group = add_group(session, "a", due_at=planned, next_run=planned)
    (task,) = lease(database, now, terms=LeaseTerms(timedelta(seconds=2)))

    with database.transaction() as session:
        held = [HeldLease(group_id=group.id, lease_no=task.lease_no)]
        release_groups(session, agent="anna", held=held, now=now)

    assert get_schedule(database, group.id).due_at == planned


@pytest.mark.parametrize(
    ("agent", "lease_no"),
    [("bert", 1), ("anna", 0), ("anna", 2)],
    ids=["another's", "an older one", "a future one"],
)
def test_only_the_own_present_lease_can_be_released(database, now, agent, lease_no):
    with database.transaction() as session:
        group = add_group(session, "a", due_at=now)
    lease(database, now)
    before = get_schedule(database, group.id).due_at

    with database.transaction() as session:
        released = release_groups(
            session,
            agent=agent,
            held=[HeldLease(group_id=group.id, lease_no=lease_no)],
            now=now,
        )

    schedule = get_schedule(database, group.id)
    assert released == []
    assert (schedule.due_at, schedule.leased_at) == (before, now)


def test_lease_is_released_once(database, now):
    with database.transaction() as session:
        group = add_group(session, "a", due_at=now)
    (task,) = lease(database, now)
    held = [HeldLease(group_id=group.id, lease_no=task.lease_no)] * 2

    with database.transaction() as session:
        first = release_groups(session, agent="anna", held=held, now=now)
        second = release_groups(session, agent="anna", held=held, now=now)

    assert (set(first), second) == ({group.id}, [])


def test_next_due_moment_is_the_earliest_of_the_pools(database, now):
    with database.transaction() as session:
        add_group(session, "a", due_at=now + timedelta(seconds=9), pool=0)
        add_group(session, "b", due_at=now + timedelta(seconds=5), pool=1)
        add_group(session, "c", due_at=now - timedelta(seconds=5), pool=2)

        found = [
            get_next_due_at(session, pools=pools) for pools in ([0], [0, 1], [3], [])
        ]

    assert found == [now + timedelta(seconds=9), now + timedelta(seconds=5), None, None]


def test_leasers_at_once_share_nothing_and_leave_nothing(database, now):
    with database.transaction() as session:
        ids = add_groups(session, 120, due_at=now)
    barrier = threading.Barrier(8)

    def take(agent: str) -> list[int]:
        taken: list[int] = []
        barrier.wait()
        while tasks := lease(database, now, agent=agent, limit=7):
            taken += [task.group_id for task in tasks]
        return taken

    with ThreadPoolExecutor(8) as pool:
        takes = list(pool.map(take, [f"agent{place}" for place in range(8)]))

    everything = [group_id for taken in takes for group_id in taken]
    assert sorted(everything) == sorted(ids)
    with database.reading() as session:
        assert set(session.scalars(select(Schedule.lease_no))) == {1}


def test_servers_of_different_processes_share_nothing(migrated_url, now):
    databases = [Database(migrated_url) for _ in range(4)]
    with databases[0].transaction() as session:
        ids = add_groups(session, 60, due_at=now)
    barrier = threading.Barrier(4)

    def take(database: Database) -> list[int]:
        taken: list[int] = []
        barrier.wait()
        while tasks := lease(database, now, limit=3):
            taken += [task.group_id for task in tasks]
        return taken

    with ThreadPoolExecutor(4) as pool:
        takes = list(pool.map(take, databases))
    for database in databases:
        database.close()

    assert sorted(group_id for taken in takes for group_id in taken) == sorted(ids)
