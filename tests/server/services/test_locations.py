"""Websites that are watched from several locations: who looks, and what is told."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select, update

from argos.core.incident import EventKind, Reason
from argos.core.severity import Severity
from argos.protocol import CUT_OFF, DOUBT
from argos.server.identity import Pool, located
from argos.server.models import Delivery, Event, Schedule, Task
from argos.server.queries.views import GRACE
from argos.server.services.ingest import ingest
from tests.server.factories import add_group
from tests.server.services.agents_world import World

PLACES = {"anna": "oslo", "bela": "paris", "cleo": "tokyo"}
OK = Severity.OK
QUORUM = (EventKind.OPENED, Reason.QUORUM)
OVER = (EventKind.CLOSED, Reason.RECOVERED)


@pytest.fixture
def world(database, config, clock) -> World:
    world = World(database, config, clock)
    with database.transaction() as session:
        for location in PLACES.values():
            add_group(
                session,
                f"a-{location}",
                due_at=clock.utcnow(),
                pool=located(Pool.NEW_CHECKS, location),
                location=location,
                tasks={
                    "url": "https://a.example.org/",
                    "domain": "https://a.example.org/",
                    "location": location,
                    "quorum": 2,
                    "watch_key": b"a" * 16,
                },
            )
    for agent, location in PLACES.items():
        world.see(agent, location=location)
    return world


def look(world: World, **seen: str) -> None:
    """Let agents look at once, in the order given."""
    for agent, status in seen.items():
        make_due(world)
        assert world.run(agent, status) == 1


def make_due(world: World) -> None:
    with world.database.transaction() as session:
        session.execute(update(Schedule).values(due_at=world.now))


def due_locations(world: World) -> list[str | None]:
    with world.database.reading() as session:
        rows = session.scalars(
            select(Schedule.location)
            .where(Schedule.due_at <= world.now)
            .order_by(Schedule.location)
        )
        return list(rows)


def test_each_location_gets_its_own_and_nothing_else(world):
    leased = {agent: world.lease(agent) for agent in PLACES}

    groups = [task.group_id for tasks in leased.values() for task in tasks]
    assert [len(tasks) for tasks in leased.values()] == [1, 1, 1]
    assert len(set(groups)) == 3
    assert world.lease("dora") == []


def test_what_one_location_sees_is_not_told_and_the_others_look_at_once(world):
    look(world, anna="success", bela="success", cleo="success")

    make_due_only(world, "oslo")
    world.run("anna", "failure")

    assert world.events == []
    assert due_locations(world) == ["paris", "tokyo"]
    world.run("bela", "success")
    world.run("cleo", "success")
    assert world.events == []
    assert world.all(Delivery) == []


def make_due_only(world: World, location: str) -> None:
    with world.database.transaction() as session:
        later = world.now + timedelta(minutes=5)
        session.execute(update(Schedule).values(due_at=later))
        session.execute(
            update(Schedule)
            .where(Schedule.location == location)
            .values(due_at=world.now)
        )


def test_a_quorum_is_told_once_with_all_that_see_it_and_ends_once(world):
    look(world, anna="success", bela="success", cleo="success")

    look(world, anna="failure", bela="failure", cleo="failure")
    look(world, anna="failure", bela="failure", cleo="failure")
    assert world.events == [QUORUM]
    (event,) = world.all(Event)
    assert event.facts["seen_from"] == ["oslo", "paris"]

    look(world, bela="success")
    assert world.events == [QUORUM]
    look(world, anna="success", cleo="success", bela="success")
    assert world.events == [QUORUM, OVER]
    assert "seen_from" not in (world.all(Event)[-1].facts or {})
    assert len(world.all(Delivery)) == 2


def test_who_told_a_problem_looks_at_once_when_too_few_see_it(world):
    look(world, anna="success", bela="success", cleo="success")
    look(world, anna="failure", bela="failure", cleo="failure")
    make_due_only(world, "paris")
    world.run("bela", "success")
    assert world.events == [QUORUM]

    make_due_only(world, "oslo")
    world.run("anna", "success")

    assert due_locations(world) == ["paris"]
    world.run("bela", "success")
    assert world.events == [QUORUM, OVER]


def test_a_location_without_agents_has_no_vote(world):
    look(world, anna="success", bela="success", cleo="success")
    world.wait(GRACE + timedelta(minutes=10))

    world.run("anna", "failure")

    assert world.events == [QUORUM]


def test_after_the_server_was_away_a_location_that_comes_first_does_not_tell_alone(
    world, clock
):
    look(world, anna="success", bela="success", cleo="success")
    world.keep_house()
    clock.move(minutes=15)

    world.run("anna", "failure")
    world.keep_house()
    assert world.events == []
    world.run("bela", "success")
    world.run("cleo", "success")
    assert world.events == []

    world.wait(GRACE + timedelta(minutes=10))
    world.run("anna", "failure")
    assert world.events == [QUORUM]


def test_nor_is_an_incident_an_orphan_because_the_server_was_away(world, clock):
    look(world, anna="success", bela="success", cleo="success")
    look(world, anna="failure", bela="failure")
    world.keep_house()
    clock.move(minutes=15)

    world.run("anna", "success")
    world.run("cleo", "success")
    world.keep_house()
    assert world.events == [QUORUM]
    world.run("bela", "success")

    assert world.events == [QUORUM, OVER]


def test_a_location_that_has_not_looked_yet_is_waited_for(world):
    world.run("anna", "failure")

    assert world.events == []


def cut_off(world: World, agent: str) -> None:
    make_due_only(world, PLACES[agent])
    world.report(agent, world.lease(agent), "failure", **{DOUBT: CUT_OFF})


def test_i33_a_location_whose_agent_is_cut_off_has_no_vote(world):
    look(world, anna="success", bela="success", cleo="success")
    cut_off(world, "bela")
    cut_off(world, "cleo")
    look(world, anna="failure")
    assert world.events == []

    world.wait(GRACE)
    cut_off(world, "bela")
    cut_off(world, "cleo")
    look(world, anna="failure")

    assert world.events == [QUORUM]
    (event,) = world.all(Event)
    assert event.facts["seen_from"] == ["oslo"]


def test_who_cannot_measure_neither_sees_a_problem_nor_refutes_it(world):
    look(world, anna="success", bela="success", cleo="success")

    look(world, anna="failure", bela="error")
    assert world.events == []
    look(world, bela="error", cleo="failure")

    assert world.events == [QUORUM]
    assert world.all(Event)[-1].facts["seen_from"] == ["oslo", "tokyo"]


def test_that_no_location_can_measure_is_told_once(world):
    look(world, anna="success", bela="success", cleo="success")
    look(world, anna="error", bela="error", cleo="error")
    assert world.events == []

    world.wait(GRACE)
    look(world, anna="error", bela="error", cleo="error")
    look(world, anna="success", bela="success", cleo="success")

    assert world.events == [QUORUM, OVER]
    assert [event.severity for event in world.all(Event)] == [Severity.UNKNOWN, OK]


def test_an_incident_ends_whose_location_is_blind_when_the_others_find_all_well(world):
    look(world, anna="success", bela="success", cleo="success")
    look(world, anna="failure", bela="failure")
    world.keep_house()
    cut_off(world, "bela")
    look(world, anna="success", cleo="success")
    assert world.events == [QUORUM]

    world.wait(GRACE + timedelta(seconds=1))

    assert world.events == [QUORUM, (EventKind.CLOSED, Reason.OK_ELSEWHERE)]
    assert world.all(Event)[-1].agent_id is None
    cut_off(world, "bela")
    assert len(world.events) == 2


def test_an_incident_ends_whose_location_is_gone_when_the_others_find_all_well(world):
    look(world, anna="success", bela="success", cleo="success")
    look(world, anna="failure", bela="failure")
    assert world.events == [QUORUM]
    world.wait(GRACE + timedelta(minutes=10))
    world.run("anna", "success")
    world.run("cleo", "success")
    world.keep_house()
    world.keep_house()

    assert world.events == [QUORUM, (EventKind.CLOSED, Reason.OK_ELSEWHERE)]
    assert world.all(Event)[-1].at == world.now
    with world.database.reading() as session:
        severities = dict(session.execute(select(Task.location, Task.severity)).all())
    assert severities["paris"] is Severity.UNKNOWN
    told = world.all(Delivery)
    assert len(told) == 2


def test_the_orphan_of_a_problem_that_others_see_goes_on(world, clock):
    look(world, anna="success", bela="success", cleo="success")
    look(world, anna="failure", bela="failure", cleo="failure")
    clock.move(seconds=(GRACE + timedelta(minutes=10)).total_seconds())
    look(world, anna="failure", cleo="failure")
    with world.database.transaction() as session:
        long_ago = world.now - GRACE - timedelta(seconds=1)
        session.execute(
            update(Schedule).where(Schedule.location == "paris").values(due_at=long_ago)
        )

    world.keep_house()

    assert world.events == [QUORUM]


def test_locations_that_report_at_once_tell_once(world):
    """Each sees what the others had said when its turn came, whoever comes first."""
    for number in range(12):
        status = "failure" if number % 3 else "success"
        world.clock.move(minutes=1)
        make_due(world)
        leased = {agent: world.lease(agent) for agent in PLACES}
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(partial(report_at_once, world, leased, status), PLACES))
        # Whoever the others make look again does so.
        world.clock.move(seconds=2)
        looks = [world.run(agent, status) for agent in PLACES]

        assert sum(looks) <= 2
        told = [task for task in world.all(Task) if task.told_severity is not OK]
        if status == "failure":
            assert len(told) == 1
        else:
            assert all(task.is_flapping for task in told)

    # It changes so often that it flaps by and by: one incident all the same.
    begins = {EventKind.OPENED, EventKind.FLAPPING}
    ends = [kind is EventKind.CLOSED for kind, _ in world.events]
    assert ends == [bool(place % 2) for place in range(len(ends))]
    assert {kind for kind, _ in world.events[::2]} <= begins
    assert len(ends) > 2


def report_at_once(world: World, leased, status: str, agent: str) -> None:
    [task] = leased[agent]
    item = {
        "task_id": task.id,
        "status": status,
        "context": {},
        "lease_no": task.lease_no,
        "leased_at": task.leased_at.isoformat(),
        "elapsed_us": 1_000,
    }
    later = world.now + timedelta(seconds=1)
    answer = ingest(
        world.database, agent=agent, items=[item], config=world.config, now=later
    )
    assert answer.refused == []
