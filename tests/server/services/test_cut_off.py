"""What an agent reports that cannot reach its references: nothing of the websites."""

import pytest
from sqlalchemy import select

from argos.channels import NoticeKind
from argos.core.incident import EventKind
from argos.core.severity import Severity
from argos.protocol import CUT_OFF, DOUBT
from argos.server.models import Agent, Event, Result, Task
from argos.server.services.agent_watch import AgentWatch
from tests.server.factories import add_group
from tests.server.services.agents_world import World


@pytest.fixture
def world(database, config, clock) -> World:
    world = World(database, config, clock)
    with database.transaction() as session:
        for name in "ab":
            add_group(session, name, due_at=clock.utcnow())
    world.see("anna")
    return world


def run_again(world: World, status: str, **facts: str) -> None:
    world.clock.move(minutes=6)
    world.report("anna", world.lease("anna"), status, **facts)


def severities(world: World) -> set[Severity]:
    with world.database.reading() as session:
        return set(session.scalars(select(Task.severity)))


def test_f28_failures_of_a_lone_agent_that_is_cut_off_are_told_of_the_agent_only(world):
    run_again(world, "success")

    for _ in range(3):
        run_again(world, "failure", **{DOUBT: CUT_OFF})

    assert world.events == []
    assert world.notices == [NoticeKind.AGENT_SUSPECT]
    assert severities(world) == {Severity.UNKNOWN}
    assert world.all(Result)[-1].context[DOUBT] == CUT_OFF


def test_it_is_believed_as_soon_as_it_reports_without_doubt(world):
    run_again(world, "success")
    run_again(world, "failure", **{DOUBT: CUT_OFF})

    run_again(world, "success")

    assert world.notices == [NoticeKind.AGENT_SUSPECT, NoticeKind.AGENT_TRUSTED]
    assert severities(world) == {Severity.OK}
    assert [agent.suspect_since for agent in world.all(Agent)] == [None]


def test_a_failure_without_doubt_is_told_though_the_agent_was_cut_off_before(world):
    run_again(world, "success")
    run_again(world, "failure", **{DOUBT: CUT_OFF})

    run_again(world, "failure")

    assert [kind for kind, _ in world.events] == [EventKind.OPENED] * 2


def test_an_open_problem_is_neither_closed_nor_told_again_by_who_is_cut_off(world):
    run_again(world, "failure")

    run_again(world, "failure", **{DOUBT: CUT_OFF})

    assert [kind for kind, _ in world.events] == [EventKind.OPENED] * 2


def test_another_text_is_no_doubt(world):
    run_again(world, "failure", **{DOUBT: "whatever"})

    assert len(world.events) == 2


def test_what_a_cut_off_agent_still_reaches_does_not_make_it_believed(world):
    run_again(world, "success")
    for _ in range(3):
        world.clock.move(minutes=6)
        [near, far] = world.lease("anna")
        world.report("anna", [far], "failure", **{DOUBT: CUT_OFF})
        world.report("anna", [near], "success")

    assert world.notices == [NoticeKind.AGENT_SUSPECT]

    run_again(world, "success")
    assert world.notices == [NoticeKind.AGENT_SUSPECT, NoticeKind.AGENT_TRUSTED]


def report_near(world: World) -> None:
    world.clock.move(minutes=6)
    [near, far] = world.lease("anna")
    world.report("anna", [near], "success")
    world.report("anna", [far], "failure", **{DOUBT: CUT_OFF})


def test_a_server_that_is_started_anew_does_not_believe_a_website_nearby(world):
    run_again(world, "success")
    report_near(world)
    for _ in range(3):
        world.watch = AgentWatch()
        report_near(world)

    assert world.notices == [NoticeKind.AGENT_SUSPECT]


def test_it_believes_an_agent_that_it_hears_for_a_while_without_doubt(world):
    run_again(world, "success")
    report_near(world)
    world.watch = AgentWatch()

    run_again(world, "success")
    assert world.notices == [NoticeKind.AGENT_SUSPECT]
    run_again(world, "success")
    run_again(world, "success")

    assert world.notices == [NoticeKind.AGENT_SUSPECT, NoticeKind.AGENT_TRUSTED]


def test_what_fails_while_a_reference_answers_is_told_beside_what_is_doubted(world):
    run_again(world, "success")
    world.clock.move(minutes=6)
    [one, other] = world.lease("anna")

    world.report("anna", [one], "failure", **{DOUBT: CUT_OFF})
    world.report("anna", [other], "failure")

    assert [event.task_id for event in world.all(Event)] == [other.id]
