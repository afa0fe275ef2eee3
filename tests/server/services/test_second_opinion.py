"""Another agent looks before a problem is told; suspect agents are not believed."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from argos.channels import NoticeKind
from argos.core.incident import EventKind, Reason
from argos.core.schedule import LEASE_MARGIN
from argos.core.severity import Severity
from argos.protocol import CUT_OFF, DOUBT
from argos.server.models import Agent, Delivery, Event, Result, Schedule, Task
from argos.server.queries.leases import lease_groups
from tests.server.factories import add_group, add_groups
from tests.server.services.agents_world import World

LEASE = timedelta(seconds=30) + LEASE_MARGIN


@pytest.fixture
def world(database, config, clock) -> World:
    world = World(database, config, clock)
    with database.transaction() as session:
        add_group(session, "a", due_at=clock.utcnow())
    return world


CONFIRMED = (EventKind.OPENED, Reason.CONFIRMED_ELSEWHERE)
UNCONFIRMED = (EventKind.OPENED, Reason.UNCONFIRMED)


def test_i32_another_agent_looks_at_once_before_a_problem_is_told(world):
    world.see("anna", "bela")

    world.run("anna", "failure")
    assert world.events == []
    assert world.lease("anna") == []
    world.run("bela", "failure")

    assert world.events == [CONFIRMED]
    (schedule,) = world.all(Schedule)
    assert schedule.not_for is None
    assert schedule.due_at > world.now


def test_agents_that_disagree_are_shown_and_nobody_is_told(world):
    world.see("anna", "bela")

    world.run("anna", "failure")
    world.run("bela", "success")

    (task,) = world.all(Task)
    assert world.events == []
    assert task.severity is Severity.OK
    assert task.doubted_agent == "anna"
    assert task.confirming_since is None


@pytest.mark.parametrize(
    ("others", "columns"),
    [
        pytest.param((), {}, id="there is no other agent"),
        pytest.param(("bela",), {"confirm": False}, id="nobody wants it confirmed"),
    ],
)
def test_problem_is_told_at_once_where_nobody_is_asked(world, others, columns):
    world.see("anna", *others)
    if columns:
        with world.database.transaction() as session:
            session.execute(update(Task).values(**columns))

    world.run("anna", "failure")

    assert world.events == [(EventKind.OPENED, Reason.CONFIRMED)]


def test_an_agent_that_was_not_seen_for_a_minute_is_not_asked(world):
    world.see("anna", "bela")
    world.clock.move(seconds=61)
    world.see("anna")

    world.run("anna", "failure")

    assert world.events == [(EventKind.OPENED, Reason.CONFIRMED)]


def test_an_agent_that_cannot_probe_the_group_is_not_asked(world):
    world.see("anna", "bela")
    with world.database.transaction() as session:
        session.execute(update(Schedule).values(pool=1))
        session.execute(update(Agent).values(capabilities=[]))

    with world.database.transaction() as session:
        tasks = lease_groups(
            session, agent="anna", pools=[1], limit=1, now=world.now
        ).read_tasks()
    world.report("anna", tasks, "failure")

    assert world.events == [(EventKind.OPENED, Reason.CONFIRMED)]


def test_problem_is_told_by_the_first_agent_when_no_other_takes_it(world):
    world.see("anna", "bela")
    world.run("anna", "failure")

    world.clock.now += LEASE
    world.run("anna", "failure")

    assert world.events == [UNCONFIRMED]


def test_i32_problem_is_told_after_a_lease_when_nobody_answers(world):
    world.see("anna", "bela")
    world.run("anna", "failure")
    world.lease("bela")

    world.wait(LEASE - timedelta(seconds=1))
    assert world.events == []
    world.wait(timedelta(seconds=1))
    world.keep_house()

    assert world.events == [UNCONFIRMED]
    (event,) = world.all(Event)
    assert event.facts["reason"] == "refused"
    assert event.agent_id == "anna"
    assert len(world.all(Delivery)) == 1


def test_recovery_of_a_problem_told_unconfirmed_is_told_once(world):
    world.see("anna", "bela")
    world.run("anna", "failure")
    tasks = world.lease("bela")
    world.wait(LEASE)

    world.report("bela", tasks, "success")

    assert world.events == [UNCONFIRMED, (EventKind.CLOSED, Reason.RECOVERED)]


def test_second_opinion_comes_from_another_location_where_there_is_one(world):
    world.see("anna", "bela", location="paris")
    world.see("carl", location="lyon")

    world.run("anna", "failure")

    assert world.lease("bela") == []
    assert world.run("carl", "failure") == 1
    assert world.events == [CONFIRMED]


def test_second_opinion_comes_from_here_where_there_is_no_other_location(world):
    world.see("anna", "bela", location="paris")

    world.run("anna", "failure")

    assert world.run("bela", "failure") == 1
    assert world.events == [CONFIRMED]


def test_what_several_agents_saw_is_looked_at_from_another_location_too(world):
    world.see("anna", "bela", location="paris")
    world.see("carl", location="lyon")
    with world.database.transaction() as session:
        session.execute(update(Task).values(retry_before_notification=1))
    world.run("anna", "failure")
    world.clock.move(minutes=1)
    make_due(world)

    world.see("anna", "bela", location="paris")
    world.see("carl", location="lyon")
    assert world.run("bela", "failure") == 1
    assert world.events == []
    assert world.lease("anna") == []
    world.run("carl", "success")

    (task,) = world.all(Task)
    assert world.events == []
    assert task.doubted_agent == "bela"


def make_due(world: World) -> None:
    with world.database.transaction() as session:
        session.execute(update(Schedule).values(due_at=world.now))


def test_what_several_agents_saw_is_told_where_there_is_no_other_location(world):
    world.see("anna", "bela", "carl", location="paris")
    with world.database.transaction() as session:
        session.execute(update(Task).values(retry_before_notification=1))
    world.run("anna", "failure")
    make_due(world)

    world.run("bela", "failure")

    assert world.events == [(EventKind.OPENED, Reason.CONFIRMED)]


def test_who_could_not_look_has_confirmed_nothing(world):
    world.see("anna", "bela")
    world.run("anna", "failure")

    world.run("bela", "error")
    assert world.events == []
    world.wait(LEASE)

    assert world.events == [UNCONFIRMED]
    (event,) = world.all(Event)
    assert (event.severity, event.agent_id) == (Severity.CRITICAL, "anna")
    (task,) = world.all(Task)
    assert task.told_severity is Severity.CRITICAL


def test_nobody_can_answer_while_no_server_is_there(world):
    world.see("anna", "bela")
    world.keep_house()
    world.run("anna", "failure")

    world.clock.move(minutes=10)
    world.keep_house()
    assert world.events == []
    world.see("bela")
    world.run("bela", "success")
    world.wait(LEASE)

    assert world.events == []


def test_what_is_told_unconfirmed_is_what_was_seen_and_not_what_was_doubted(world):
    world.see("anna", "bela")
    world.run("anna", "failure")
    world.report("bela", world.lease("bela"), "failure", **{DOUBT: CUT_OFF})
    assert world.events == []

    world.wait(LEASE)

    (event,) = world.all(Event)
    assert world.events == [UNCONFIRMED]
    assert (event.severity, event.agent_id) == (Severity.CRITICAL, "anna")
    assert DOUBT not in event.facts
    assert [task.severity for task in world.all(Task)] == [Severity.UNKNOWN]


@pytest.fixture
def fleet(database, config, clock) -> World:
    world = World(database, config, clock)
    with database.transaction() as session:
        add_groups(session, 12, due_at=clock.utcnow())
    world.see("anna", "bela")
    return world


def test_f28_an_agent_that_loses_its_network_costs_no_site_an_alert(fleet):
    tasks = fleet.lease("anna")
    fleet.report("anna", tasks[:6], "failure")
    fleet.run("bela", "success")

    fleet.report("anna", tasks[6:], "failure")
    fleet.keep_house()
    fleet.run("bela", "success")

    assert fleet.events == []
    assert fleet.notices == [NoticeKind.AGENT_SUSPECT]
    anna = fleet.all(Agent)[0]
    assert anna.suspect_since == fleet.now - timedelta(seconds=1)
    assert "6 of 6" in anna.suspect_reason or "12 of 12" in anna.suspect_reason
    doubted = [each for each in fleet.all(Result) if "doubt" in each.context]
    assert len(doubted) == 6
    assert {each.severity for each in doubted} == {Severity.UNKNOWN}


def test_i33_what_a_suspect_agent_alone_saw_is_dropped_before_it_is_told(fleet):
    tasks = fleet.lease("anna")
    fleet.report("anna", tasks[:10], "failure")
    theirs = fleet.lease("bela")
    fleet.report("bela", theirs[:4], "success")
    fleet.report("anna", tasks[10:], "failure")

    fleet.wait(LEASE)

    assert fleet.events == []
    assert {task.severity for task in fleet.all(Task)[4:]} == {Severity.UNKNOWN}
    assert not any(task.confirming_since for task in fleet.all(Task))


def test_i33_a_suspect_agent_is_believed_again_by_itself(fleet):
    test_f28_an_agent_that_loses_its_network_costs_no_site_an_alert(fleet)
    with fleet.database.transaction() as session:
        session.execute(update(Schedule).values(due_at=fleet.now))

    fleet.run("anna", "success")

    assert fleet.notices == [NoticeKind.AGENT_SUSPECT, NoticeKind.AGENT_TRUSTED]
    assert fleet.all(Agent)[0].suspect_since is None
    assert fleet.events == []


def test_a_suspect_agent_gives_no_second_opinion(fleet):
    test_f28_an_agent_that_loses_its_network_costs_no_site_an_alert(fleet)
    with fleet.database.transaction() as session:
        session.execute(update(Schedule).values(due_at=fleet.now))

    fleet.run("bela", "failure")

    assert fleet.events == [(EventKind.OPENED, Reason.CONFIRMED)] * 12


def test_an_outage_that_all_agents_see_makes_none_of_them_suspect(fleet):
    tasks = fleet.lease("anna")

    fleet.report("anna", tasks, "failure")
    fleet.run("bela", "failure")

    assert fleet.events == [CONFIRMED] * 12
    assert fleet.notices == []


def test_old_results_from_a_spool_make_nobody_suspect(fleet):
    tasks = fleet.lease("anna")
    fleet.clock.move(seconds=120)
    fleet.see("anna", "bela")
    fleet.run("bela", "success")

    fleet.report("anna", tasks, "failure")

    assert fleet.notices == []
    assert fleet.events == []
