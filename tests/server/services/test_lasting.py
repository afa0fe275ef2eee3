"""Reminders of what lasts, escalation, and routes to further recipients."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from argos.core.escalation import EscalationStep
from argos.core.incident import EventKind
from argos.core.matching import Matcher
from argos.core.severity import Severity
from argos.schemas.quiet import Route
from argos.server.models import Delivery, Event, Incident, Task
from tests.server.factories import add_group
from tests.server.services.desk import MINUTE, Desk

HOUR = timedelta(hours=1)


@pytest.fixture
def desk(database, config, now) -> Desk:
    return Desk(database, config, now)


def _to(desk: Desk) -> list[tuple[str, str]]:
    with desk.database.reading() as session:
        rows = session.execute(
            select(Event.kind, Delivery.recipient)
            .join(Delivery, Delivery.event_id == Event.id)
            .order_by(Delivery.id)
        )
        return [(row.kind.value, row.recipient) for row in rows]


def test_people_are_reminded_of_what_lasts_until_it_ends(desk):
    desk.set(remind_every=HOUR)
    desk.run("c")
    desk.wait(59 * MINUTE)
    assert desk.told == ["opened"]

    desk.wait(2 * MINUTE)
    desk.wait(30 * MINUTE)
    assert desk.told == ["opened", "lasting"]

    desk.wait(31 * MINUTE)
    desk.run("o")
    desk.wait(3 * HOUR)
    assert desk.told == ["opened", "lasting", "lasting", "closed"]


def test_a_reminder_is_an_event_of_its_incident(desk):
    desk.set(remind_every=HOUR)
    desk.run("c")
    desk.wait(HOUR)

    with desk.database.reading() as session:
        opened, lasting = session.scalars(select(Event).order_by(Event.id))
        assert (lasting.kind, lasting.reason, lasting.seq) == ("lasting", "reminded", 2)
        assert lasting.incident_id == opened.incident_id
        assert lasting.severity is Severity.CRITICAL
        assert session.scalars(select(Task.event_count)).all() == [2]


def test_nobody_is_reminded_of_what_was_acknowledged(desk):
    desk.set(remind_every=HOUR, escalation=(EscalationStep(HOUR, ("local",)),))
    desk.run("c")
    with desk.database.transaction() as session:
        session.execute(
            update(Incident).values(
                acknowledged_at=desk.clock.now,
                acknowledged_until=desk.clock.now + 5 * HOUR,
            )
        )
    desk.wait(3 * HOUR)
    assert desk.told == ["opened"]

    desk.wait(3 * HOUR)
    assert desk.told == ["opened", "lasting"]


def test_who_left_the_config_is_not_reminded(desk):
    alerts = desk.config.general.alerts
    both = alerts.model_copy(update={"critical": ("local", "apprise:team")})
    desk.set(remind_every=HOUR, alerts=both, apprise={"team": ()})
    desk.run("c")
    desk.wait(HOUR)
    desk.set(alerts=alerts, apprise={})
    desk.wait(HOUR)

    assert _to(desk) == [
        ("opened", "local"),
        ("opened", "apprise:team"),
        ("lasting", "local"),
        ("lasting", "apprise:team"),
        ("lasting", "local"),
    ]


def test_each_step_of_the_escalation_tells_its_recipients_once(desk):
    steps = (
        EscalationStep(30 * MINUTE, ("gotify",)),
        EscalationStep(2 * HOUR, ("apprise:boss",)),
    )
    desk.set(escalation=steps)
    desk.run("c")
    for _ in range(6):
        desk.wait(30 * MINUTE)

    kinds = [kind for kind, _ in _to(desk)]
    assert kinds == ["opened", "lasting", "lasting"]
    first, second = [name for kind, name in _to(desk) if kind == "lasting"]
    assert first.startswith("gotify")
    assert second.startswith("apprise:boss")


def test_a_silence_says_nothing_of_what_lasts(desk):
    desk.set(remind_every=HOUR)
    desk.run("c")
    desk.silence(3 * HOUR, check=["status-is"])
    desk.wait(2 * HOUR)
    assert desk.events() == ["opened"]

    desk.wait(2 * HOUR)
    assert desk.told == ["opened", "lasting"]


@pytest.fixture
def family(desk: Desk) -> Desk:
    """Two checks of a website that fail together: one incident speaks for both."""
    with desk.database.transaction() as session:
        add_group(session, "b", due_at=desk.clock.now, tasks=_SAME_WEBSITE)
        session.execute(update(Task).values(confirm=False))
    desk.set(remind_every=HOUR)
    return desk


_SAME_WEBSITE = {"check": "body-contains", "domain": "https://a.example.org/"}


def _lasting(desk: Desk) -> list[tuple[str, str]]:
    with desk.database.reading() as session:
        rows = session.execute(
            select(Task.check, Delivery.recipient)
            .select_from(Delivery)
            .join(Event, Delivery.event_id == Event.id)
            .join(Task, Task.id == Event.task_id)
            .where(Event.kind == EventKind.LASTING)
            .order_by(Delivery.id)
        )
        return [tuple(row) for row in rows]


def test_what_is_gathered_is_called_to_mind_by_the_one_that_speaks_for_it(family):
    family.run("c")
    family.wait(HOUR)

    assert _lasting(family) == [("status-is", "local")]


def test_what_is_gathered_under_a_silent_incident_is_called_to_mind_itself(family):
    family.run("c")
    family.silence(5 * HOUR, check=["status-is"])
    family.wait(HOUR)
    family.wait(MINUTE)

    assert _lasting(family) == [("body-contains", "local")]


def test_who_never_heard_of_the_one_that_speaks_is_reminded_of_what_they_heard(family):
    family.set(apprise={"team": ()})
    with family.database.transaction() as session:
        session.execute(
            update(Task)
            .where(Task.check == "body-contains")
            .values(overwrite_alerts_recipients='["apprise:team"]')
        )
    family.run("c")
    family.wait(HOUR)

    assert _lasting(family) == [
        ("status-is", "local"),
        ("body-contains", "apprise:team"),
    ]


@pytest.mark.parametrize(
    ("route", "recipients"),
    [
        (Route(Matcher(check=("status-is",)), ("gotify",)), ["gotify", "local"]),
        (Route(Matcher(check=("body-*",)), ("gotify",)), ["local"]),
        (
            Route(Matcher(check=("status-is",)), ("gotify",), (Severity.WARNING,)),
            ["local"],
        ),
        (
            Route(Matcher(check=("status-is",)), ("gotify",), exclusive=True),
            ["gotify"],
        ),
    ],
)
def test_a_route_tells_further_recipients(desk, route, recipients):
    desk.set(routes=(route,))
    desk.run("c")

    names = sorted(name.partition(":")[0] for _, name in _to(desk))
    assert names == recipients
