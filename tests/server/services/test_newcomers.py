"""Whoever is new in the config hears of what is open, once, and of its end."""

from datetime import time, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from argos.core.matching import Matcher
from argos.core.severity import Severity
from argos.schemas.quiet import Route
from argos.server.models import Delivery, DeliveryState, Event, Incident, Task
from argos.server.services import dispatch
from argos.server.services.newcomers import tell_newcomers
from argos.server.services.upkeep import Duty, Means, Upkeep
from argos.windows import DailyHours
from tests.server.factories import add_group
from tests.server.services.desk import MINUTE, Desk

HOUR = timedelta(hours=1)
NEW = "apprise:new"
EVERYBODY = ("local", NEW)


@pytest.fixture
def desk(database, config, now) -> Desk:
    desk = Desk(database, config, now)
    desk.set(apprise={"new": ()})
    return desk


def join(desk: Desk, **alerts: tuple[str, ...]) -> None:
    """Change `alerts`, and let the housework be done."""
    general = desk.config.general
    changed = general.alerts.model_copy(update=alerts or {"critical": EVERYBODY})
    desk.set(alerts=changed)
    look(desk)


def look(desk: Desk) -> None:
    desk.wait(MINUTE)
    means = Means(desk.database, desk.clock, lambda: desk.config, "here")
    upkeep = Upkeep(means, [Duty("newcomers", timedelta(), tell_newcomers)])
    upkeep.enter()
    upkeep.do_due()
    desk.wait(MINUTE)


def told(desk: Desk, to: str = NEW, state: str = "waiting") -> list[str]:
    """What somebody is told: the checks, and what of them."""
    with desk.database.reading() as session:
        rows = session.execute(
            select(Task.check, Event.kind)
            .select_from(Delivery)
            .join(Event, Event.id == Delivery.event_id)
            .join(Task, Task.id == Event.task_id)
            .where(
                Delivery.recipient == to,
                Delivery.state == DeliveryState(state),
                Delivery.dropped_at.is_(None),
            )
            .order_by(Delivery.id)
        )
        return [f"{row.check} {row.kind}" for row in rows]


def test_who_joins_hears_of_what_is_open_and_of_its_end(desk):
    desk.run("c")
    join(desk)
    for _ in "12":
        look(desk)
    assert told(desk) == ["status-is opened"]

    desk.run("o")
    assert told(desk) == ["status-is opened", "status-is closed"]
    assert told(desk, "local") == told(desk)


def test_what_became_worse_is_told_as_it_is_now(desk):
    desk.run("u")
    desk.run("c")
    join(desk)

    assert told(desk) == ["status-is worsened"]


def test_who_heard_of_the_beginning_is_not_told_again_of_what_became_worse(desk):
    join(desk, unknown=(NEW,), critical=("local",))
    desk.run("u")
    desk.run("c")
    assert (told(desk), told(desk, "local")) == (
        ["status-is opened"],
        ["status-is worsened"],
    )

    join(desk, unknown=(NEW,), critical=EVERYBODY)
    assert told(desk) == ["status-is opened"]

    desk.run("o")
    assert told(desk) == ["status-is opened", "status-is closed"]


def test_nobody_hears_of_what_is_over_or_not_so_bad(desk):
    desk.run("c")
    desk.run("o")
    desk.run("u")
    join(desk)

    assert told(desk) == []


def test_who_joins_is_reminded_too(desk):
    desk.set(remind_every=HOUR)
    desk.run("c")
    join(desk)
    desk.wait(HOUR)

    assert told(desk) == ["status-is opened", "status-is lasting"]


@pytest.mark.parametrize(("worst", "letter"), [("critical", "c"), ("unknown", "u")])
def test_who_joins_by_a_route_or_for_a_website_hears_of_it(desk, worst, letter):
    desk.run(letter)
    look(desk)
    route = Route(Matcher(check=("status-is",)), (NEW,), (Severity(worst),))

    desk.set(routes=(route,))
    look(desk)

    assert told(desk) == ["status-is opened"]


def test_who_joins_in_quiet_hours_hears_of_it_in_the_morning_if_it_lasts(desk):
    desk.clock.now = desk.clock.now.replace(hour=23)
    desk.run("u")
    desk.set(quiet_hours=DailyHours(time(22), time(7), ZoneInfo("UTC")))
    join(desk, unknown=EVERYBODY)
    assert (told(desk), told(desk, state="held")) == ([], ["status-is opened"])

    desk.wait(9 * HOUR)
    assert told(desk) == ["status-is opened"]


def test_what_ends_before_a_newcomer_heard_of_it_is_told_to_who_knows(desk):
    desk.run("c")
    desk.silence(5 * HOUR, check=["status-is"])
    join(desk)
    desk.run("o")
    desk.wait(6 * HOUR)

    assert told(desk) == []
    assert told(desk, "local") == ["status-is opened", "status-is closed"]


def test_what_is_gathered_and_silent_is_so_for_a_newcomer_too(desk):
    with desk.database.transaction() as session:
        more = {"check": "body-contains", "domain": "https://a.example.org/"}
        add_group(session, "b", due_at=desk.clock.now, tasks=more)
        session.execute(update(Task).values(confirm=False))
    desk.run("c")
    with desk.database.transaction() as session:
        child = session.scalars(
            select(Incident.id).where(Incident.parent_id.is_not(None))
        ).one()
        session.execute(
            update(Delivery)
            .where(
                Delivery.event_id.in_(
                    select(Event.id).where(Event.incident_id == child)
                )
            )
            .values(state=DeliveryState.HELD, held_until=desk.clock.now, held_by="x")
        )
    join(desk)

    assert told(desk) == ["status-is opened"]
    assert told(desk, state="held") == ["body-contains opened"]
    assert told(desk, "local", "held") == ["body-contains opened"]


def test_a_recipient_that_was_away_hears_of_what_began_meanwhile_only(desk):
    join(desk)
    desk.run("c")
    join(desk, critical=("local",))
    join(desk)

    assert told(desk) == ["status-is opened"]

    desk.run("o")
    join(desk, critical=("local",))
    desk.run("c")
    join(desk)
    assert told(desk) == ["status-is opened", "status-is closed", "status-is opened"]


def give_up(desk: Desk) -> None:
    """Send what there is, long after the recipient left the config."""
    desk.wait(11 * MINUTE)
    means = dispatch.Means(
        desk.database, desk.clock, Random(1), lambda: desk.config, "here"
    )
    dispatch.Dispatcher(means).run_lane(NEW)


def test_what_was_given_up_while_a_recipient_was_away_is_told_if_it_is_still_open(desk):
    join(desk)
    desk.run("c")
    desk.set(apprise={})
    look(desk)
    give_up(desk)
    assert told(desk, state="dead") == ["status-is opened"]

    desk.set(apprise={"new": ()})
    look(desk)
    desk.run("o")

    assert told(desk) == ["status-is opened", "status-is closed"]


def test_how_it_ended_while_a_recipient_was_away_is_told_for_a_day(desk):
    join(desk, unknown=EVERYBODY, critical=EVERYBODY)
    desk.run("u")
    note_sent(desk)
    desk.set(apprise={})
    look(desk)
    desk.run("c")
    desk.run("o")
    give_up(desk)
    away = ["status-is worsened", "status-is closed"]
    assert told(desk, state="dead") == away

    desk.wait(23 * HOUR)
    join(desk, ok=EVERYBODY)
    assert told(desk, state="dead") == away
    desk.set(apprise={"new": ()})
    look(desk)

    assert told(desk) == ["status-is closed"]


def test_who_never_heard_of_it_or_is_back_too_late_is_not_told_of_its_end(desk):
    join(desk)
    desk.run("c")
    desk.set(apprise={})
    look(desk)
    desk.run("o")
    give_up(desk)
    desk.set(apprise={"new": ()})
    look(desk)
    assert told(desk) == []

    desk.run("c")
    note_sent(desk)
    desk.set(apprise={})
    look(desk)
    desk.run("o")
    give_up(desk)
    desk.wait(25 * HOUR)
    desk.set(apprise={"new": ()})
    look(desk)
    assert told(desk) == []


def note_sent(desk: Desk) -> None:
    """As if all that waits had been sent."""
    with desk.database.transaction() as session:
        waiting = Delivery.state == DeliveryState.WAITING
        session.execute(
            update(Delivery).where(waiting).values(state=DeliveryState.SENT)
        )


def leave_in_quiet_hours(desk):
    """A problem is kept back for a recipient who then leaves the config."""
    desk.clock.now = desk.clock.now.replace(hour=23)
    desk.set(quiet_hours=DailyHours(time(22), time(7), ZoneInfo("UTC")))
    join(desk, unknown=EVERYBODY)
    desk.run("u")
    desk.set(apprise={})
    join(desk, unknown=("local",))


def test_what_is_kept_back_while_a_recipient_is_away_is_told_once(desk):
    leave_in_quiet_hours(desk)
    desk.set(apprise={"new": ()})
    join(desk, unknown=EVERYBODY)
    assert (told(desk), told(desk, state="held")) == ([], ["status-is opened"])

    desk.wait(9 * HOUR)
    desk.run("o")

    assert told(desk) == ["status-is opened", "status-is closed"]


def test_what_is_kept_back_for_who_is_away_and_over_is_told_to_nobody(desk):
    leave_in_quiet_hours(desk)
    desk.run("o")
    desk.set(apprise={"new": ()})
    join(desk, unknown=EVERYBODY)
    desk.wait(9 * HOUR)

    assert told(desk) == []
