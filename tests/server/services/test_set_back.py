"""After the server's clock was set back, nothing is told later than it would be."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from argos.core.cause import LONGEST_HOLD, Cause, hold_interval
from argos.server.models import Delivery, DeliveryTarget, Incident
from argos.server.queries import held, overtaken
from tests.server.services.gathering_world import (
    AT_ONE_ADDRESS,
    HELD,
    HOLD,
    NOW,
    WAITING,
    World,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def world(database, config, clock) -> World:
    return World(database, config, clock)


def test_what_joins_waits_no_longer_than_ever(world):
    world.add("a", "b")
    world.run({"a": AT_ONE_ADDRESS})
    world.clock.now -= HOUR

    world.run({"b": AT_ONE_ADDRESS})

    assert world.gathered[1] == (0, Cause.ADDRESS)
    assert NOW <= world.due[1] <= HOLD


def test_a_recovery_waits_no_longer_than_ever(world):
    world.add("a", "b", "c")
    world.run(dict.fromkeys("abc", AT_ONE_ADDRESS))
    world.clock.move(minutes=30)
    world.run({"a": None})
    world.clock.now -= HOUR

    world.run({"b": None})

    assert world.due[-1] == hold_interval(LONGEST_HOLD)


def test_a_silent_part_is_told_whose_speaker_ended_before(world):
    world.add("a", "b")
    world.run({"a": AT_ONE_ADDRESS})
    world.clock.now += HOLD
    world.run({"b": AT_ONE_ADDRESS})
    world.let_go()
    world.run({"a": None})
    assert world.states[1] is HELD
    world.clock.now -= HOUR
    with world.database.transaction() as session:
        overtaken.bring_back(session, now=world.clock.now)

    world.let_go()

    assert world.states[1] is WAITING


@pytest.mark.parametrize("failed_later", [True, False])
def test_what_failed_later_than_now_is_tried_again(world, failed_later):
    world.add("a")
    world.run({"a": AT_ONE_ADDRESS})
    now = world.clock.now
    then = timedelta(minutes=50)
    with world.database.transaction() as session:
        session.execute(update(Delivery).values(attempts=1, due_at=now + then))
        failed_at = now + then if failed_later else now - then
        target = {"failures": 1, "failed_at": failed_at, "last_error": "500"}
        session.execute(
            insert(DeliveryTarget).values(
                recipient=world.rows(Delivery)[0].recipient, **target
            )
        )

    with world.database.transaction() as session:
        overtaken.bring_back(session, now=now)

    assert world.due == [NOW if failed_later else then]


def test_what_is_over_is_not_kept_back_for_one_that_speaks_now(world):
    world.add("a", "b", "c")
    world.run(dict.fromkeys("abc", AT_ONE_ADDRESS))
    world.run({"c": None})
    leader = world.rows(Incident)[0].id

    with world.database.transaction() as session:
        held.silence_unsent(session, speaker_id=leader, label="a", now=world.clock.now)

    assert world.states == [WAITING, HELD, WAITING, WAITING]
