"""Who waits for what is gathered, and who takes care of what joins it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from argos.core.cause import Cause
from argos.core.severity import Severity
from argos.server.models import Delivery, Event, Incident, Task
from argos.server.queries import knowing
from argos.server.queries.knowing import Acknowledgement
from argos.server.services.leaving import tell_leaving
from tests.server.services.gathering_world import (
    AT_ONE_ADDRESS,
    HELD,
    HOLD,
    NOW,
    WAITING,
    World,
)


@pytest.fixture
def world(database, config, clock) -> World:
    return World(database, config, clock)


def acknowledge(world: World, *, until: Any = None) -> None:
    with world.database.transaction() as session:
        first = session.scalars(select(Incident.id).order_by(Incident.id)).first()
        word = Acknowledgement("eva", world.clock.now, until)
        knowing.acknowledge(session, leader=first, acknowledgement=word)


def test_what_joins_a_matter_of_which_somebody_takes_care_is_silent_and_theirs(world):
    world.add("a", "b")
    world.run({"a": AT_ONE_ADDRESS})
    acknowledge(world)
    world.clock.move(seconds=20)

    world.run({"b": AT_ONE_ADDRESS})
    world.let_go()

    assert world.states == [WAITING, HELD]
    later = world.rows(Incident)[1]
    assert (later.acknowledged_by, later.acknowledged_until) == ("eva", None)
    assert later.acknowledged_at is not None


def test_nobody_takes_care_of_what_joins_when_the_while_is_over(world):
    world.add("a", "b")
    world.run({"a": AT_ONE_ADDRESS})
    acknowledge(world, until=world.clock.now + timedelta(seconds=10))
    world.clock.move(seconds=20)

    world.run({"b": AT_ONE_ADDRESS})

    assert world.rows(Incident)[1].acknowledged_by is None
    assert world.due[1] == HOLD - timedelta(seconds=20)


def test_whoever_takes_care_is_told_when_a_worse_part_joins(world):
    world.add("a", "b")
    world.run({"a": AT_ONE_ADDRESS})
    acknowledge(world)
    make_first_a_warning(world)

    world.run({"b": AT_ONE_ADDRESS})
    world.let_go()

    assert world.states == [WAITING, WAITING]


def make_first_a_warning(world: World) -> None:
    with world.database.transaction() as session:
        session.execute(update(Incident).values(severity=Severity.WARNING))


def test_what_is_worse_than_the_first_one_waits_for_nothing(world):
    world.add("a", "b")
    world.run({"a": AT_ONE_ADDRESS})
    make_first_a_warning(world)
    world.clock.move(seconds=20)

    world.run({"b": AT_ONE_ADDRESS})

    assert world.gathered[1] == (0, Cause.ADDRESS)
    assert world.due[1] == NOW


def test_who_never_heard_of_the_first_one_waits_for_nothing(world):
    world.add("a", "b")
    world.run({"a": AT_ONE_ADDRESS})
    with world.database.transaction() as session:
        session.execute(update(Delivery).values(recipient="mail"))
    world.clock.move(seconds=20)

    world.run({"b": AT_ONE_ADDRESS})

    assert world.due[1] == NOW


def leave(world: World, task_id: int) -> None:
    with world.database.transaction() as session:
        tell_leaving(session, [task_id], config=world.config, now=world.clock.now)
        session.execute(
            update(Task).where(Task.id == task_id).values(archived_at=world.clock.now)
        )


def told(world: World) -> list[tuple[int, str]]:
    """What is not kept back, by task."""
    with world.database.reading() as session:
        rows = session.execute(
            select(Event.task_id, Event.kind)
            .join(Delivery, Delivery.event_id == Event.id)
            .where(Delivery.state != HELD)
            .order_by(Delivery.id)
        )
        return [(task_id, kind.value) for task_id, kind in rows]


@pytest.fixture
def silent(world: World) -> World:
    """A website that is down, and another one that is silent for it."""
    world.add("a", "b")
    world.run({"a": AT_ONE_ADDRESS})
    world.clock.now += HOLD
    world.run({"b": AT_ONE_ADDRESS})
    world.let_go()
    return world


def test_nobody_hears_of_a_silent_part_that_leaves_the_config(silent):
    leave(silent, 2)
    silent.run({"a": None})
    silent.clock.now += HOLD
    silent.let_go()

    assert told(silent) == [(1, "opened"), (1, "closed")]


def test_a_silent_part_is_told_when_what_speaks_for_it_leaves_the_config(silent):
    leave(silent, 1)
    silent.let_go()
    assert told(silent) == [(1, "opened"), (1, "closed")]

    silent.clock.now += HOLD
    silent.let_go()
    silent.run({"b": None})

    assert sorted(told(silent)) == [
        (1, "closed"),
        (1, "opened"),
        (2, "closed"),
        (2, "opened"),
    ]
