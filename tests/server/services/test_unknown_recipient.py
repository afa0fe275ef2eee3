"""Recipients that a server's config does not know: not yet, or no longer."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from argos.core.severity import Severity
from argos.server.models import Delivery, DeliveryState, DeliveryTarget, Event
from argos.server.services.dispatch import Dispatcher, Means
from tests.server.services.desk import Desk

GONE = "apprise:gone#0123456789ab"


@pytest.fixture
def desk(database, config, now) -> Desk:
    desk = Desk(database, config, now)
    alerts = config.general.alerts.model_copy(update={"undelivered": ("local",)})
    desk.set(alerts=alerts)
    return desk


class Taking:
    """A channel that takes all; no subclass, as those enter themselves in a list."""

    def __init__(self, sent: list[Any]) -> None:
        self._sent = sent

    def send(self, notice: Any) -> None:
        self._sent.append(notice)

    def close(self) -> None:
        """Nothing to close."""


def send(desk: Desk, **more: Any) -> None:
    means = Means(
        database=desk.database,
        clock=desk.clock,
        rng=Random(1),
        get_config=lambda: desk.config,
        holder="here",
        **more,
    )
    Dispatcher(means).run_lane(GONE)


def tell(desk: Desk, letters: str) -> None:
    """Let the recipient be told of some runs, who was in the config by then."""
    for letter in letters:
        desk.run(letter)
    with desk.database.transaction() as session:
        for row in session.query(Delivery).join(Event):
            row.recipient = GONE


def states(desk: Desk) -> list[str]:
    with desk.database.reading() as session:
        rows = session.query(Delivery).order_by(Delivery.id).all()
        return [
            row.state.value if row.notice is None else row.notice["kind"]
            for row in rows
        ]


def test_another_server_may_know_the_recipient_already(desk):
    tell(desk, "c")
    send(desk)
    assert states(desk) == ["waiting"]

    desk.clock.now += timedelta(minutes=1)
    desk.set(apprise={"gone": ()})
    sent: list[Any] = []
    send(desk, open_channel=lambda *_: Taking(sent))

    assert len(sent) == 1


def test_a_problem_that_nobody_hears_of_is_said_to_others(desk):
    tell(desk, "c")
    desk.clock.now += timedelta(minutes=10)
    send(desk)

    assert states(desk) == ["dead", "undelivered"]


def test_what_comes_later_does_not_put_off_the_end(desk):
    tell(desk, "c")
    desk.clock.now += timedelta(minutes=9)
    send(desk)
    tell(desk, "o")
    desk.clock.now += timedelta(minutes=1)
    send(desk)

    assert states(desk)[:2] == ["dead", "dead"]


def test_a_recovery_of_whoever_was_taken_out_of_the_config_is_missed_by_nobody(desk):
    tell(desk, "c")
    with desk.database.transaction() as session:
        session.query(Delivery).update({"state": DeliveryState.SENT})
    desk.run("o")
    with desk.database.transaction() as session:
        recoveries = session.query(Event.id).filter(Event.severity == Severity.OK)
        for row in session.query(Delivery).filter(Delivery.event_id.in_(recoveries)):
            if row.recipient != GONE:
                session.delete(row)
    desk.clock.now += timedelta(minutes=10)

    send(desk)

    assert states(desk) == ["sent", "dead"]
    with desk.database.reading() as session:
        assert not session.get(DeliveryTarget, GONE).is_given_up
