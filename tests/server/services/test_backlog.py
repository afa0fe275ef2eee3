"""Leases while more is due than anybody asks for."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import event, text

from argos.core.schedule import SHARDS
from argos.protocol import IPV6_CAPABILITY
from argos.server.queries.leased import LeaseTerms
from argos.server.queries.leases import _NEXT_DUE_POSTGRESQL, PARTS, lease_groups
from argos.server.services.backlog import MARGIN, WHOLE_LOOK_INTERVAL, Backlog
from argos.server.services.lease import LeaseWish, lease
from tests.server.browsing import TurnedClock
from tests.server.factories import add_group, add_groups

WISH = LeaseWish(limit=10, capabilities={IPV6_CAPABILITY})


@pytest.fixture
def ask(database, config, now):
    backlog = Backlog()

    def ask_(wish=WISH, moment=now):
        return lease(
            database,
            agent="anna",
            wish=wish,
            config=config,
            clock=TurnedClock(moment),
            backlog=backlog,
        )

    return ask_


def count_groups(answer):
    return len({task.group_id for task in answer.tasks})


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("limit", [1, 7, 16, 39, 60])
def test_whatever_part_comes_first_as_many_groups_are_leased(
    database, now, part, limit
):
    with database.transaction() as session:
        add_groups(session, 40, due_at=now)

    with database.transaction() as session:
        tasks = lease_groups(
            session,
            agent="anna",
            pools=[0],
            limit=limit,
            now=now,
            terms=LeaseTerms(part=part),
        ).read_tasks()

    assert len({task.group_id for task in tasks}) == min(limit, 40)


def test_all_is_leased_once_and_then_it_is_told_when_to_come_back(database, ask, now):
    later = now + timedelta(seconds=20)
    with database.transaction() as session:
        add_groups(session, 40, due_at=now)
        add_group(session, "later", due_at=later)

    answers = [ask() for _ in range(5)]

    assert [count_groups(answer) for answer in answers] == [10, 10, 10, 10, 0]
    assert len({task.id for answer in answers for task in answer.tasks}) == 40
    assert answers[-1].next_due_at == later


def test_nobody_looks_before_a_lease_while_the_last_one_was_full(database, ask, now):
    with database.transaction() as session:
        add_groups(session, 40, due_at=now)
    statements = []
    for engine in database.engines:
        event.listen(
            engine,
            "before_cursor_execute",
            lambda *call: statements.append(call[2]),
        )

    ask()
    looks = ["min(due_at)" in sql or "min(c.due_at)" in sql for sql in statements]
    statements.clear()
    ask()

    assert any(looks)
    assert not any("min(" in sql and "UPDATE" not in sql for sql in statements)


def test_a_lease_that_had_to_wait_is_from_when_it_was_given(database, config, now):
    clock = TurnedClock(now)
    with database.transaction() as session:
        add_group(session, "a", due_at=now)
    for engine in database.engines:
        event.listen(engine, "begin", lambda _: clock.turn(seconds=7))

    answer = lease(database, agent="anna", wish=WISH, config=config, clock=clock)

    [task] = answer.tasks
    assert task.leased_at == clock.now
    assert clock.now > now


def test_agent_that_wants_nothing_gets_nothing_of_a_backlog(database, ask, now):
    with database.transaction() as session:
        add_groups(session, 40, due_at=now)
    ask()

    assert not ask(LeaseWish(limit=0, capabilities={IPV6_CAPABILITY})).tasks


def test_what_is_due_far_in_the_past_is_found_when_all_is_looked_at_again(
    database, ask, now
):
    def names(answer):
        return {task.task_group.removeprefix("GET-4-") for task in answer.tasks}

    with database.transaction() as session:
        add_group(session, "first", due_at=now)
    first = names(ask())
    with database.transaction() as session:
        add_group(session, "past", due_at=now - 2 * MARGIN)
        add_group(session, "lately", due_at=now - MARGIN / 2)

    soon = names(ask(moment=now + timedelta(seconds=1)))
    then = names(ask(moment=now + WHOLE_LOOK_INTERVAL))

    # Nothing is between the front of SQLite's index and what is due.
    past = {"past"}
    assert [first, soon, then] == (
        [{"first"}, {"lately"} | past, set()]
        if database.is_sqlite
        else [{"first"}, {"lately"}, past]
    )


def test_a_lease_does_not_walk_over_what_was_leased_long_ago(postgresql_database, now):
    """While a transaction is open that may see it, it stays in the index."""
    with postgresql_database.transaction() as session:
        add_groups(session, 40, due_at=now)
    move = "UPDATE schedule SET due_at = due_at + interval '1 minute', leased_at = NULL"
    reader = postgresql_database.engine.connect()
    reader.execution_options(isolation_level="REPEATABLE READ")
    reader.exec_driver_sql("SELECT count(*) FROM schedule")
    for _ in range(50):
        with postgresql_database.transaction() as session:
            session.execute(text(move))
    later = now + timedelta(minutes=50)

    def pages_read(since):
        with postgresql_database.transaction() as session:
            session.execute(text("SET LOCAL enable_seqscan = off"))
            explained = session.execute(
                text(f"EXPLAIN (ANALYZE, BUFFERS) {_NEXT_DUE_POSTGRESQL}"),
                {"pools": [0], "shards": [*range(SHARDS)], "since": since},
            ).scalars()
            [found] = re.findall(r"shared hit=(\d+)", "\n".join(explained))[:1]
        return int(found)

    assert pages_read(later) * 4 < pages_read(now)
    reader.close()


def test_the_mark_only_rises_until_all_is_looked_at_again(now):
    backlog = Backlog()
    pools = [0, 1]
    assert backlog.low_water(pools, now=now) is None

    far = now + timedelta(minutes=5)
    assert backlog.note_first(pools, far, now=now) == now - MARGIN
    assert backlog.low_water(pools, now=now) == now - MARGIN
    assert backlog.low_water([0], now=now) is None

    later = now + WHOLE_LOOK_INTERVAL / 2
    assert backlog.note_first(pools, None, now=later) == later - MARGIN
    assert backlog.note_first(pools, now, now=now) == later - MARGIN

    assert backlog.low_water(pools, now=now + WHOLE_LOOK_INTERVAL) is None
    assert backlog.low_water(pools, now=now - timedelta(seconds=1)) is None


def test_where_much_is_due_the_mark_is_what_is_due_first(now):
    backlog = Backlog()
    long_ago = now - timedelta(hours=1)

    assert backlog.note_first([0], long_ago, now=now) == long_ago
    assert backlog.note_first([0], now, now=now) == now - MARGIN
