"""What depends on a website that is down: that one speaks for it, if it is heard."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from argos.core.cause import Cause
from argos.core.matching import Matcher
from argos.core.schedule import LEASE_MARGIN
from argos.server.models import (
    Incident,
    Schedule,
    SilenceKind,
    Task,
)
from argos.server.queries.leases import lease_groups
from argos.server.queries.silences import NewSilence
from argos.server.services import peace
from argos.server.services.ingest import ingest
from tests.server.services.gathering_world import (
    ALONE,
    AT_ONE_ADDRESS,
    HELD,
    NO_TEXT,
    PERIOD,
    REFUSED,
    WAITING,
    World,
)


@pytest.fixture
def world(database, config, clock) -> World:
    return World(database, config, clock)


@pytest.fixture
def dependent(world: World, make_loaded) -> World:
    paths = [{"path": "/", "checks": []}]
    world.config = make_loaded(
        websites=[
            {"domain": "https://p.example.org", "name": "Proxy", "paths": paths},
            {
                "domain": "https://c.example.org",
                "depends_on": ["Proxy"],
                "paths": paths,
            },
        ]
    ).config
    world.add("p", "c")
    return world


WAIT = timedelta(seconds=30) + LEASE_MARGIN


def test_what_depends_on_a_website_that_is_down_is_gathered_under_it(dependent):
    dependent.run({"p": REFUSED})
    dependent.clock.move(days=1)

    dependent.run({"c": {"reason": "text not found"}})

    assert dependent.gathered == [ALONE, (0, Cause.DEPENDENCY)]
    assert dependent.states == [WAITING, HELD]


def test_what_fails_together_with_what_it_depends_on_is_silent_from_the_start(
    dependent,
):
    dependent.run({"p": REFUSED, "c": REFUSED})
    dependent.let_go()

    assert dependent.gathered == [ALONE, (0, Cause.DEPENDENCY)]
    assert dependent.states == [WAITING, HELD]


def test_what_depends_on_a_part_of_a_matter_belongs_to_it_and_has_its_name(dependent):
    dependent.add("a")
    dependent.run({"a": AT_ONE_ADDRESS})
    dependent.run({"p": AT_ONE_ADDRESS})

    dependent.run({"c": NO_TEXT})

    (first, second, third) = dependent.rows(Incident)
    assert second.parent_id == third.parent_id == first.id
    assert (third.cause, third.address) == (Cause.ADDRESS, second.address)


def test_what_it_depends_on_is_looked_at_first_and_then_speaks_for_it(dependent):
    dependent.run({"p": None, "c": None})
    dependent.clock.move(seconds=90)
    with dependent.database.transaction() as session:
        later = dependent.clock.now + PERIOD
        session.execute(update(Schedule).values(due_at=later, leased_at=None))

    fail_only(dependent, "c")
    assert dependent.due == [WAIT]
    (proxy, _) = dependent.rows(Schedule)
    assert proxy.due_at == dependent.clock.now
    dependent.run({"p": REFUSED})

    assert dependent.gathered == [(1, Cause.DEPENDENCY), ALONE]
    dependent.let_go()
    assert dependent.states == [HELD, WAITING]


def test_what_it_depends_on_is_fine_and_so_it_is_told_after_a_short_wait(dependent):
    dependent.run({"p": None, "c": None})
    dependent.clock.move(seconds=90)
    fail_only(dependent, "c")

    dependent.run({"p": None})

    assert dependent.due == [WAIT]
    assert dependent.gathered == [ALONE]


def test_nobody_waits_for_a_website_that_was_looked_at_just_now(dependent):
    dependent.run({"p": None, "c": REFUSED})
    dependent.clock.move(seconds=5)

    assert dependent.due == [timedelta(seconds=-5)]


def fail_only(world: World, name: str) -> None:
    """Only this website's task is leased and fails; the others keep their places."""
    now = world.clock.now
    with world.database.transaction() as session:
        group = session.scalars(
            select(Task.group_id).where(Task.url.startswith(f"https://{name}."))
        ).one()
        session.execute(update(Schedule).where(Schedule.id == group).values(due_at=now))
        tasks = lease_groups(
            session, agent="anna", pools=[0], limit=1, now=now
        ).read_tasks()
    (task,) = tasks
    item = {
        "task_id": task.id,
        "status": "failure",
        "context": REFUSED,
        "lease_no": task.lease_no,
        "leased_at": now.isoformat(),
        "elapsed_us": 0,
    }
    ingest(world.database, agent="anna", items=[item], config=world.config, now=now)


def hush(world: World, host: str) -> None:
    """Silence a website for an hour."""
    now = world.clock.now
    new = NewSilence(
        kind=SilenceKind.SILENCE,
        matcher=Matcher(website=(host,)),
        starts_at=now,
        ends_at=now + timedelta(hours=1),
        comment="",
        created_by="eva",
    )
    peace.add_silence(world.database, new, now=now)


@pytest.mark.parametrize("together", [True, False])
def test_a_silence_of_what_it_depends_on_does_not_silence_it(dependent, together):
    hush(dependent, "p.example.org")
    failing = {"p": REFUSED, "c": REFUSED}
    for names in ("pc",) if together else "pc":
        dependent.run({name: failing[name] for name in names})
        dependent.let_go()
    assert dependent.gathered == [ALONE, (0, Cause.DEPENDENCY)]
    assert dependent.states == [HELD, WAITING]

    dependent.clock.move(minutes=61)
    dependent.let_go()
    assert dependent.states == [WAITING, WAITING]

    dependent.run({"p": None, "c": None})
    dependent.let_go()
    assert dependent.states == [WAITING] * 4


def test_what_depends_on_a_website_that_was_told_before_its_silence_is_silent(
    dependent,
):
    dependent.run({"p": REFUSED})
    hush(dependent, "p.example.org")

    dependent.run({"c": REFUSED})
    dependent.let_go()

    assert dependent.states == [WAITING, HELD]
