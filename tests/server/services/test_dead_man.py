"""The ping that has to be earned: it stops within 90 seconds of what breaks (I-40)."""

import logging
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import delete, update

from argos.errors import DeliveryError
from argos.server.models import Agent, Delivery, DeliveryState, Schedule
from argos.server.queries.duties import Turn
from argos.server.services import dead_man
from argos.server.services.upkeep import Duty, TurnLost, Work
from tests.server.factories import add_group

URL = "https://ping.example/secret-token"


class Outside:
    """Notes when it is called."""

    def __init__(self, clock) -> None:
        self._clock = clock
        self.calls: list[datetime] = []
        self.error: DeliveryError | None = None

    def get(self, url: str) -> None:
        self.calls.append(self._clock.now)
        assert url == URL
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def outside(clock) -> Outside:
    return Outside(clock)


@pytest.fixture
def live(keep, database, clock, make_loaded, outside):
    """Lets time pass while the agent calls, unless told otherwise."""
    config = make_loaded(general__dead_man={"url": URL, "every": "1m"}).config
    ping = partial(dead_man.ping, open_pinger=lambda: outside)
    upkeep = keep(Duty("dead-man", dead_man.LOOK_INTERVAL, ping), config=config)
    with database.transaction() as session:
        session.add(Agent(name="anna", created_at=clock.now))
        add_group(session, "a", due_at=clock.now)

    def live(seconds: int, *, is_seen: bool = True, is_worked: bool = True) -> None:
        for _ in range(seconds // 5):
            with database.transaction() as session:
                if is_seen:
                    session.execute(update(Agent).values(last_seen_at=clock.now))
                if is_worked:
                    session.execute(
                        update(Schedule).values(due_at=clock.now + timedelta(minutes=1))
                    )
            upkeep.do_due()
            clock.move(seconds=5)

    return live


def stick(database, now, **columns) -> None:
    """A notice that should be delivered."""
    with database.transaction() as session:
        session.add(
            Delivery(**{
                "recipient": "mail:a@argos.example",
                "state": DeliveryState.WAITING,
                "created_at": now,
                "due_at": now,
                "message_id": "1",
                "notice": {},
                **columns,
            })
        )


def test_it_goes_out_once_in_its_interval_while_all_is_well(live, outside):
    live(600)

    assert 9 <= len(outside.calls) <= 11


def test_without_an_agent_it_stops(live, outside, clock):
    live(120)
    broken_at = clock.now

    live(600, is_seen=False)

    assert max(outside.calls) - broken_at <= timedelta(seconds=90)


def test_who_cannot_write_to_the_database_does_not_call(
    make_means, database, make_loaded, clock, outside
):
    config = make_loaded(general__dead_man={"url": URL, "every": "1m"}).config
    duty = Duty("dead-man", dead_man.LOOK_INTERVAL, lambda work: None)
    with database.transaction() as session:
        session.add(Agent(name="anna", created_at=clock.now, last_seen_at=clock.now))
    # A turn that was never claimed: what it writes is not taken.
    turn = Turn("dead-man", 1, None)
    work = Work(make_means(config=config), duty, turn, clock.now)

    with pytest.raises(TurnLost):
        dead_man.ping(work, open_pinger=lambda: outside)

    assert outside.calls == []


def test_without_work_being_done_it_stops(live, outside, clock):
    live(120)
    broken_at = clock.now

    live(600, is_worked=False)

    # The group was to be due a minute later.
    assert max(outside.calls) - broken_at <= timedelta(seconds=60 + 90)


@pytest.mark.parametrize("attempts", [0, 3])
def test_with_a_notice_that_is_not_delivered_it_stops(
    live, outside, clock, database, attempts
):
    live(120)
    broken_at = clock.now
    later = timedelta(hours=1) if attempts else timedelta()
    stick(database, clock.now, attempts=attempts, due_at=clock.now + later)

    live(600)
    assert max(outside.calls) - broken_at <= timedelta(seconds=90)

    with database.transaction() as session:
        session.execute(delete(Delivery))
    mended_at = clock.now
    live(90)
    assert max(outside.calls) >= mended_at


def test_a_notice_that_waits_for_its_time_is_no_trouble(live, outside, clock, database):
    stick(database, clock.now, due_at=clock.now + timedelta(hours=1))

    live(600)

    assert max(outside.calls) > clock.now - timedelta(seconds=90)


def test_a_notice_that_was_held_for_long_is_late_only_from_its_time_on(
    live, clock, database, caplog
):
    live(120)
    long_ago = clock.now - timedelta(minutes=5)
    stick(database, clock.now, created_at=long_ago)

    live(60)  # it goes out with what else comes within a minute

    assert "has stopped" not in caplog.text


def test_a_call_that_fails_is_told_once_without_the_secret(live, outside, caplog):
    caplog.set_level(logging.INFO, "argos.server.services.dead_man")
    outside.error = DeliveryError("ping.example cannot be reached: no route")
    live(300)
    outside.error = None
    live(120)

    lines = [record.message for record in caplog.records]
    assert lines == [
        "The ping of general.dead_man has stopped: it did not arrive: "
        "ping.example cannot be reached: no route",
        "The ping of general.dead_man goes out again",
    ]


def test_nobody_is_called_without_an_address(keep, database, clock, outside):
    ping = partial(dead_man.ping, open_pinger=lambda: outside)
    upkeep = keep(Duty("dead-man", dead_man.LOOK_INTERVAL, ping))
    with database.transaction() as session:
        session.add(Agent(name="anna", created_at=clock.now, last_seen_at=clock.now))

    upkeep.do_due()

    assert outside.calls == []
