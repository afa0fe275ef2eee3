"""What leaves the config while people know of a problem: they hear that it is over."""

import pytest
from sqlalchemy import select, update

from argos.core.incident import EventKind, Reason
from argos.server.models import Delivery, DeliveryState, Event, Incident, Schedule, Task
from argos.server.queries.deliveries import claim_message, list_claimed
from argos.server.services.message import message_of
from argos.server.services.reconcile import reconcile
from argos.server.services.wording import wording_for
from tests.server.services.agents_world import World

REMOVED = (EventKind.CLOSED, Reason.REMOVED)


def website(domain: str, **more: object) -> dict[str, object]:
    paths = [{"path": "/", "checks": [{"status-is": 200}]}]
    return {"domain": domain, "ipv6": False, "confirm": False, "paths": paths, **more}


A = website("https://a.example", name="Shop")
B = website("https://b.example")


@pytest.fixture
def apply(database, make_loaded, clock):
    def apply(*websites):
        loaded = make_loaded(websites=list(websites))
        reconcile(database, loaded, now=clock.utcnow(), allow_mass_removal=True)
        return loaded.config

    return apply


@pytest.fixture
def world(database, apply, clock) -> World:
    return World(database, apply(A, B), clock)


def test_who_knows_of_a_problem_hears_that_it_is_watched_no_longer(world, apply):
    world.run("anna", "failure")
    world.clock.move(minutes=5)

    apply(B)

    *opened, closed = world.all(Event)
    assert world.events[2] == REMOVED
    assert closed.at == world.now
    incidents = {row.id: row.closed_at for row in world.all(Incident)}
    assert incidents.keys() == {event.incident_id for event in opened}
    assert [id_ for id_, at in incidents.items() if at] == [closed.incident_id]
    assert incidents[closed.incident_id] == world.now
    assert [each.recipient for each in world.all(Delivery)] == ["local"] * 3
    assert world.all(Task)[0].event_count == 2


def test_nobody_hears_of_what_leaves_without_a_problem_that_was_told(world, apply):
    with world.database.transaction() as session:
        session.execute(update(Task).values(retry_before_notification=1))
    world.run("anna", "failure")

    apply(B)

    assert world.events == []


def test_what_nobody_heard_of_leaves_without_a_word(world, apply):
    world.run("anna", "failure")
    with world.database.transaction() as session:
        session.execute(
            update(Delivery).values(state=DeliveryState.HELD, held_until=world.now)
        )

    apply(B)

    assert world.events[2] == REMOVED
    assert [each.state for each in world.all(Delivery)] == [DeliveryState.HELD] * 2
    assert {each.held_until for each in world.all(Delivery)} == {None, world.now}


def test_it_comes_back_as_if_new(world, apply):
    world.run("anna", "failure")
    apply(B)

    apply(A, B)
    with world.database.transaction() as session:
        session.execute(update(Schedule).values(due_at=world.now))
    world.run("anna", "failure")

    kinds = [event.kind for event in world.all(Event) if event.task_id == 1]
    assert kinds == ["opened", "closed", "opened"]


def notice_of_last(world: World):
    last = world.all(Delivery)[-1]
    with world.database.transaction() as session:
        session.execute(
            update(Delivery).where(Delivery.id == last.id).values(batch_id="b")
        )
        claim = claim_message(
            session, batch_id="b", recipient="local", holder="x", until=world.now
        )
        told = list_claimed(session, claim=claim)
    wording = wording_for("local", world.config)
    return message_of(told, batch_id="b", references=(), wording=wording)


def test_the_notice_does_not_say_that_it_is_ok(world, apply):
    world.run("anna", "failure")
    world.clock.move(minutes=5)
    apply(B)

    notice = notice_of_last(world)

    assert notice.title == (
        "✅ a.example (IPv4): watched no longer · status-is, after 5 min"
    )
    assert ("Website", "Shop") in notice.lines
    assert ("Status", "watched no longer") in notice.lines
    assert "Seen from" not in dict(notice.lines)


def test_a_location_that_told_a_problem_leaves_and_another_one_tells_it(
    database, apply, clock
):
    places = {"anna": "oslo", "bela": "paris", "cleo": "tokyo"}

    def at(*locations):
        return website("https://a.example", locations=list(locations), quorum=2)

    world = World(database, apply(at("oslo", "paris", "tokyo")), clock)
    for agent, place in places.items():
        world.see(agent, location=place)
    for agent in places:
        world.run(agent, "failure")
    assert [reason for _, reason in world.events] == [Reason.QUORUM]

    world.config = apply(at("oslo", "tokyo"))

    with database.reading() as session:
        location = session.scalars(
            select(Task.location)
            .join(Event, Event.task_id == Task.id)
            .where(Event.reason == Reason.REMOVED)
        ).one()
    assert location == "paris"
    assert "watched no longer from paris" in notice_of_last(world).title
    with database.transaction() as session:
        session.execute(update(Schedule).values(due_at=world.now))
    world.run("anna", "failure")
    reasons = [reason for _, reason in world.events]
    assert reasons == [Reason.QUORUM, Reason.REMOVED, Reason.QUORUM]
