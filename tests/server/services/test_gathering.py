"""Incidents with one cause: one speaks for all, and nothing of the others is lost."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from argos.core.cause import Cause
from argos.core.severity import Severity
from argos.server.models import (
    Delivery,
    DeliveryState,
    Event,
    Incident,
)
from argos.server.queries.gathering import RECENT_RECOVERIES
from tests.server.services.gathering_world import (
    ALONE,
    AT_ONE_ADDRESS,
    HELD,
    HOLD,
    NO_TEXT,
    NOW,
    PERIOD,
    REFUSED,
    WAITING,
    World,
)


@pytest.fixture
def world(database, config, clock) -> World:
    return World(database, config, clock)


def test_checks_of_one_website_are_one_matter_and_told_at_once(world):
    world.add("a", checks=("status-is", "body-contains", "http-to-https"))

    world.run({"a": REFUSED})

    assert world.gathered == [ALONE, (0, Cause.WEBSITE), (0, Cause.WEBSITE)]
    assert world.due == [NOW] * 3


def test_websites_at_one_address_are_held_to_be_told_together(world):
    world.add("a", "b", "c", "d")
    world.run({"a": AT_ONE_ADDRESS})
    world.clock.move(seconds=20)

    world.run({"b": AT_ONE_ADDRESS, "c": AT_ONE_ADDRESS, "d": REFUSED})

    assert world.gathered == [ALONE, (0, Cause.ADDRESS), (0, Cause.ADDRESS), ALONE]
    rest = HOLD - timedelta(seconds=20)
    assert world.due == [timedelta(seconds=-20), rest, rest, NOW]


def test_a_website_that_was_fine_after_the_first_one_failed_has_its_own_cause(world):
    world.add("a", "b")
    world.run({"a": AT_ONE_ADDRESS})
    world.clock.now += PERIOD + timedelta(minutes=2)

    world.run({"b": AT_ONE_ADDRESS})

    assert world.gathered == [ALONE, ALONE]
    assert world.due[-1] == NOW


@pytest.fixture
def late(world: World) -> World:
    """A website that has failed for a while, and another one that fails like it."""
    world.add("a", "b")
    world.run({"a": AT_ONE_ADDRESS})
    world.clock.now += HOLD
    world.run({"b": AT_ONE_ADDRESS})
    return world


def test_who_comes_after_the_hold_is_silent_while_the_first_one_is_open(late):
    assert late.gathered[1] == (0, Cause.ADDRESS)
    assert late.states == [WAITING, HELD]

    late.clock.move(hours=5)
    late.let_go()

    assert late.states == [WAITING, HELD]


def test_what_still_holds_a_period_after_the_first_one_ended_is_told_then(late):
    late.let_go()
    late.run({"a": None})
    late.clock.now += HOLD - timedelta(seconds=1)
    late.let_go()
    assert late.states[:2] == [WAITING, HELD]

    late.clock.move(seconds=1)
    late.let_go()
    late.let_go()

    assert late.states == [WAITING] * 3
    late.run({"b": None})
    assert [event.kind for event in late.rows(Event)] == [
        "opened",
        "opened",
        "closed",
        "closed",
    ]
    assert late.states == [WAITING] * 4


def test_what_ends_with_the_first_one_is_told_to_nobody(late):
    late.let_go()
    late.run({"a": None})
    late.clock.move(seconds=30)
    late.run({"b": None})
    late.clock.now += HOLD
    late.let_go()

    told = {each.event_id for each in late.rows(Delivery) if each.state is WAITING}
    events = [event.kind for event in late.rows(Event) if event.id in told]
    assert events == ["opened", "closed"]


@pytest.mark.parametrize(
    "told_otherwise",
    [
        pytest.param({"recipient": "gotify"}, id="others heard of the first one"),
        pytest.param({"state": HELD}, id="nobody heard of it: it is silent"),
        pytest.param({"state": DeliveryState.DEAD}, id="nobody could be told"),
    ],
)
def test_who_never_heard_of_the_first_one_is_told(late, told_otherwise):
    with late.database.transaction() as session:
        session.execute(
            update(Delivery).where(Delivery.state == WAITING).values(told_otherwise)
        )

    late.let_go()

    assert late.states[1] is WAITING


def test_what_is_more_urgent_than_the_first_one_is_told(late):
    with late.database.transaction() as session:
        session.execute(
            update(Incident)
            .where(Incident.parent_id.is_(None))
            .values(severity=Severity.WARNING)
        )

    late.let_go()

    assert late.states == [WAITING, WAITING]


def test_recoveries_are_held_until_the_last_one_lets_all_go(world):
    world.add("a", "b", "c")
    world.run(dict.fromkeys("abc", AT_ONE_ADDRESS))
    world.clock.move(minutes=30)

    world.run({"a": None})
    assert world.due[3:] == [HOLD]
    world.clock.move(seconds=30)
    world.run({"b": None})
    assert world.due[3:] == [HOLD - timedelta(seconds=30)] * 2
    world.run({"c": None})

    assert world.due[3:] == [NOW] * 3
    assert [event.kind for event in world.rows(Event)] == ["opened"] * 3 + [
        "closed"
    ] * 3


def test_more_recoveries_than_are_looked_at_wait_for_one_moment(world):
    count = 2 * RECENT_RECOVERIES + 5
    names = [f"a{place}" for place in range(count + 1)]
    world.add(*names)
    world.run(dict.fromkeys(names, AT_ONE_ADDRESS))

    world.run(dict.fromkeys(names[1:5], None))
    world.clock.move(seconds=20)
    world.run(dict.fromkeys(names[5:-1], None))

    assert set(world.due[count + 1 :]) == {HOLD - timedelta(seconds=20)}


def test_what_still_holds_when_the_first_one_recovers_is_told_all_the_same(world):
    world.add("a", "b")
    world.run({"a": AT_ONE_ADDRESS})
    world.clock.move(seconds=20)
    world.run({"b": AT_ONE_ADDRESS})

    world.run({"a": None})

    events = world.rows(Event)
    assert [event.kind for event in events] == ["opened", "opened", "closed"]
    told = {delivery.event_id for delivery in world.rows(Delivery)}
    assert told == {event.id for event in events}
    assert all(due <= HOLD for due in world.due)


BAD_GATEWAY = {"retrieved": 502, "address": "192.0.2.1"}


def test_all_checks_of_websites_at_one_address_are_one_matter(world):
    world.add("a", "b", "c", checks=("status-is", "body-contains"))
    bad = {f"{name} status-is": BAD_GATEWAY for name in "abc"}
    world.run(bad | {"b body-contains": NO_TEXT})
    world.clock.move(seconds=20)

    world.run({"a body-contains": NO_TEXT, "c body-contains": NO_TEXT})

    assert world.gathered == [
        ALONE,
        (0, Cause.ADDRESS),
        (0, Cause.ADDRESS),
        (0, Cause.ADDRESS),
        (0, Cause.WEBSITE),
        (0, Cause.ADDRESS),
    ]
    names = [incident.address for incident in world.rows(Incident)]
    assert names == ["192.0.2.1 443 status 502"] * 4 + [
        None,
        "192.0.2.1 443 status 502",
    ]


def test_a_website_joins_its_own_that_is_open_though_the_first_one_is_over(world):
    world.add("a", "b", checks=("status-is", "body-contains"))
    world.run({"a status-is": BAD_GATEWAY, "b status-is": BAD_GATEWAY})
    world.clock.move(seconds=20)
    world.run({"a status-is": None})

    world.run({"b body-contains": NO_TEXT})

    assert world.gathered == [ALONE] + [(0, Cause.ADDRESS)] * 2


def test_a_storm_of_one_address_is_two_messages_and_loses_no_recovery(world):
    names = [f"s{number}" for number in range(60)]
    world.add(*names)
    for start in range(0, 60, 6):
        world.run(dict.fromkeys(names[start : start + 6], AT_ONE_ADDRESS))
        world.clock.move(seconds=30)

    moments = {each.due_at for each in world.rows(Delivery)}
    assert len(moments) == 2
    assert world.gathered.count(ALONE) == 1
    for start in range(0, 60, 6):
        world.run(dict.fromkeys(names[start : start + 6]))
        world.clock.move(seconds=30)

    assert len({each.due_at for each in world.rows(Delivery)}) == 4 - 1
    recipients = [each.event_id for each in world.rows(Delivery)]
    assert len(recipients) == len(set(recipients)) == 120


def test_many_failures_of_one_kind_from_one_agent_are_gathered_from_the_sixth_on(world):
    world.add(*"abcdefg")

    for name in "abcdefg":
        world.run({name: REFUSED})

    assert world.gathered == [ALONE] * 5 + [(0, Cause.AGENT)] * 2
