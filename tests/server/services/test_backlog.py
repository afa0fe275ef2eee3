"""Leases while more is due than anybody asks for."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from argos.protocol import IPV6_CAPABILITY
from argos.server.queries.leases import PARTS, LeaseTerms, lease_groups
from argos.server.services.lease import Backlog, LeaseWish, lease
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
            now=moment,
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
        )

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
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda *call: statements.append(call[2]),
    )

    ask()
    looks = ["min(due_at)" in sql or "min(c.due_at)" in sql for sql in statements]
    statements.clear()
    ask()

    assert any(looks)
    assert not any("min(" in sql and "UPDATE" not in sql for sql in statements)


def test_agent_that_wants_nothing_gets_nothing_of_a_backlog(database, ask, now):
    with database.transaction() as session:
        add_groups(session, 40, due_at=now)
    ask()

    assert not ask(LeaseWish(limit=0, capabilities={IPV6_CAPABILITY})).tasks
