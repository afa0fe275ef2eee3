"""Deliveries: sent once, in order, tried again, given up; each recipient by itself."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import select, update

from argos.channels import expand_recipient
from argos.core.incident import EventKind
from argos.core.severity import Severity, Status
from argos.server.models import Delivery, DeliveryState, Event, Incident
from argos.server.queries import deliveries as queries
from argos.server.services.dispatch import (
    CLAIM_INTERVAL,
    HORIZON,
    Dispatcher,
    Means,
    retry_delay,
)
from tests.server.factories import add_group, task_ids


@pytest.fixture
def config(make_loaded, gotify):
    return make_loaded(general__gotify=[{"url": gotify.url, "tokens": ["a"]}]).config


@pytest.fixture
def means(database, clock, config) -> Means:
    return Means(
        database=database,
        clock=clock,
        rng=Random(1),
        get_config=lambda: config,
        holder="server 1",
    )


@pytest.fixture
def recipient(config) -> str:
    """The one application of the Gotify server."""
    (name,) = expand_recipient("gotify", config.general)
    return name


@pytest.fixture
def add(database, clock, recipient) -> Callable[..., int]:
    """Adds an event of a task with a delivery; returns the delivery's id."""
    tasks: dict[str, int] = {}

    def add(
        site: str = "a",
        kind: EventKind = EventKind.OPENED,
        to: str = recipient,
    ) -> int:
        with database.transaction() as session:
            if site not in tasks:
                group = add_group(session, site, due_at=clock.now)
                (tasks[site],) = task_ids(session, group.id)
            incident = Incident(
                task_id=tasks[site],
                opened_at=clock.now - timedelta(minutes=5),
                severity=Severity.CRITICAL,
                closed_at=clock.now,
            )
            session.add(incident)
            session.flush()
            count = len(session.scalars(select(Event.id)).all())
            is_closed = kind is EventKind.CLOSED
            event = Event(
                task_id=tasks[site],
                seq=count + 1,
                incident_id=incident.id,
                kind=kind,
                at=clock.now,
                severity=Severity.OK if is_closed else Severity.CRITICAL,
                previous_severity=Severity.CRITICAL if is_closed else Severity.OK,
                reason="confirmed",
                status=Status.SUCCESS if is_closed else Status.FAILURE,
                agent_id="anna",
                facts={"reason": "status 500"},
            )
            session.add(event)
            session.flush()
            delivery = Delivery(
                event_id=event.id,
                recipient=to,
                created_at=clock.now,
                due_at=clock.now,
                message_id=f"m{event.id}.{to}",
            )
            session.add(delivery)
            session.flush()
            return delivery.id

    return add


@pytest.fixture
def get(database) -> Callable[[int], Delivery]:
    def get(id_: int) -> Any:
        with database.reading() as session:
            return session.get_one(Delivery, id_)

    return get


def test_what_is_due_is_sent_and_marked(means, clock, gotify, add, get, recipient):
    id_ = add()

    Dispatcher(means).run_lane(recipient)

    delivery = get(id_)
    assert gotify.titles == ["❌ a.example.org (IPv4): status critical"]
    assert (delivery.state, delivery.sent_at) == (DeliveryState.SENT, clock.now)
    assert (delivery.attempts, delivery.claimed_by) == (1, None)
    assert delivery.last_error is None


def test_what_was_sent_is_not_sent_again(means, gotify, add, recipient):
    add()

    for _ in "123":
        Dispatcher(means).run_lane(recipient)

    assert len(gotify.messages) == 1


def test_failed_attempt_is_repeated_later_and_then_succeeds(
    means, clock, gotify, add, get, recipient
):
    id_ = add()
    gotify.statuses = [503, 503]
    dispatcher = Dispatcher(means)
    delays = []

    for _ in "123":
        dispatcher.run_lane(recipient)
        delays.append((get(id_).due_at - clock.now).total_seconds())
        clock.now = get(id_).due_at

    assert [4 <= delays[0] <= 6, 8 <= delays[1] <= 12, delays[2]] == [True, True, 0]
    assert len(gotify.messages) == 1
    assert (get(id_).state, get(id_).attempts) == (DeliveryState.SENT, 3)


def test_failure_is_remembered_with_its_reason(means, gotify, add, get, recipient):
    id_ = add()
    gotify.statuses = [500]

    Dispatcher(means).run_lane(recipient)

    assert "answered 500" in get(id_).last_error
    assert get(id_).state is DeliveryState.WAITING


def test_refusal_for_good_is_given_up_at_once_and_logged(
    means, gotify, add, get, recipient, caplog
):
    id_ = add()
    gotify.statuses = [401]

    Dispatcher(means).run_lane(recipient)

    assert (get(id_).state, get(id_).attempts) == (DeliveryState.DEAD, 1)
    assert "Gave up delivery" in caplog.text
    assert "answered 401" in caplog.text


def test_refused_delivery_does_not_hold_up_the_next(means, gotify, add, get, recipient):
    first, second = add("a"), add("b")
    gotify.statuses = [400]

    Dispatcher(means).run_lane(recipient)

    assert get(first).state is DeliveryState.DEAD
    assert get(second).state is DeliveryState.SENT


@pytest.mark.parametrize(
    "name", ["carrier-pigeon", "apprise:nobody", "mail", "local:x"]
)
def test_recipient_that_does_not_exist_is_given_up_with_a_reason(
    means, add, get, name, caplog
):
    id_ = add(to=name)

    Dispatcher(means).run_lane(name)

    assert get(id_).state is DeliveryState.DEAD
    assert f"There is no recipient {name}" in get(id_).last_error
    assert f"There is no recipient {name}" in caplog.text


def test_after_a_day_of_failures_a_delivery_is_given_up(
    means, clock, gotify, add, get, recipient
):
    id_ = add()
    begin = clock.now
    gotify.statuses = [503] * 100
    dispatcher = Dispatcher(means)

    clock.now = begin + HORIZON - timedelta(minutes=1)
    while get(id_).state is DeliveryState.WAITING:
        dispatcher.run_lane(recipient)
        clock.now = get(id_).due_at

    assert HORIZON - timedelta(minutes=1) < clock.now - begin <= HORIZON
    assert get(id_).attempts >= 3
    assert "answered 503" in get(id_).last_error


def test_local_is_a_line_of_the_log_with_the_words_of_0_10_3(means, add, get, caplog):
    id_ = add(to="local")

    with caplog.at_level(logging.ERROR, logger="argos.channels"):
        Dispatcher(means).run_lane("local")

    (record,) = [entry for entry in caplog.records if "stub" in entry.message]
    assert record.levelname == "ERROR"
    assert record.message.startswith(
        "Alerting stub: task=1, status=failure, severity=critical"
    )
    assert get(id_).state is DeliveryState.SENT


def test_recovery_waits_for_the_problem_that_could_not_be_sent(
    means, clock, gotify, add, get, recipient
):
    add("a", EventKind.OPENED)
    gotify.statuses = [503]
    dispatcher = Dispatcher(means)
    dispatcher.run_lane(recipient)
    add("a", EventKind.CLOSED)
    add("b", EventKind.OPENED)

    dispatcher.run_lane(recipient)
    before = gotify.titles.copy()
    clock.move(minutes=1)
    dispatcher.run_lane(recipient)

    assert before == ["❌ b.example.org (IPv4): status critical"]
    assert gotify.titles[1:] == [
        "❌ a.example.org (IPv4): status critical",
        "✅ a.example.org (IPv4): status ok",
    ]


def test_recipients_do_not_wait_for_each_other(means, gotify, add, get, recipient):
    slow, quick = add("a"), add("a", to="local")
    gotify.gate.clear()
    dispatcher = Dispatcher(means)

    dispatcher.look()
    _wait_for(lambda: get(quick).state is DeliveryState.SENT)
    assert get(slow).state is DeliveryState.WAITING
    gotify.gate.set()

    _wait_for(lambda: get(slow).state is DeliveryState.SENT)
    dispatcher.start()
    dispatcher.stop()


def test_failing_recipient_rests_and_is_tried_again(
    means, clock, gotify, add, get, recipient
):
    first, second = add("a"), add("b")
    gotify.statuses = [503]
    dispatcher = Dispatcher(means)
    dispatcher.run_lane(recipient)

    dispatcher.look()
    attempts = (get(first).attempts, get(second).attempts)
    clock.move(minutes=1)
    dispatcher.look()
    _wait_for(lambda: {get(first).state, get(second).state} == {DeliveryState.SENT})

    assert attempts == (1, 0)
    assert len(gotify.messages) == 2


def test_claim_of_a_dead_server_is_taken_over(
    database, means, clock, add, get, recipient
):
    id_ = add()
    with database.transaction() as session:
        queries.claim_delivery(
            session,
            recipient=recipient,
            holder="server 2",
            now=clock.now,
            until=clock.now + CLAIM_INTERVAL,
        )
    dispatcher = Dispatcher(means)

    dispatcher.run_lane(recipient)
    before = get(id_).state
    clock.now += CLAIM_INTERVAL
    dispatcher.run_lane(recipient)

    assert (before, get(id_).state) == (DeliveryState.WAITING, DeliveryState.SENT)
    assert get(id_).attempts == 2


def test_server_that_wakes_up_too_late_changes_nothing(
    database, means, clock, add, get, recipient
):
    id_ = add()

    def claim(holder: str) -> Any:
        with database.transaction() as session:
            return queries.claim_delivery(
                session,
                recipient=recipient,
                holder=holder,
                now=clock.now,
                until=clock.now + CLAIM_INTERVAL,
            )

    late = claim("server 1")
    clock.now += CLAIM_INTERVAL
    claim("server 2")
    end = queries.Finish(DeliveryState.DEAD, due_at=clock.now, last_error="late")
    with database.transaction() as session:
        is_ours = queries.finish_claim(session, claim=late, holder="server 1", end=end)

    assert not is_ours
    assert get(id_).claimed_by == "server 2"
    assert get(id_).state is DeliveryState.WAITING


def test_servers_at_once_send_each_delivery_once(means, gotify, add, get, recipient):
    ids = [add(f"site{place}") for place in range(15)]
    barrier = threading.Barrier(4)

    def serve(place: int) -> None:
        own = Means(
            means.database, means.clock, Random(place), means.get_config, f"s{place}"
        )
        barrier.wait()
        Dispatcher(own).run_lane(recipient)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(serve, range(4)))

    assert len(gotify.titles) == len(set(gotify.titles)) == 15
    assert {get(id_).state for id_ in ids} == {DeliveryState.SENT}


def test_delivery_whose_task_is_gone_is_skipped(
    database, means, gotify, add, recipient
):
    add("a")
    add("b")
    with database.transaction() as session:
        session.execute(
            update(Delivery)
            .where(Delivery.id == 1)
            .values(event_id=None, notice={"kind": "of a later version"})
        )

    Dispatcher(means).run_lane(recipient)
    Dispatcher(means).run_lane(recipient)

    assert gotify.titles == ["❌ b.example.org (IPv4): status critical"]


def test_dispatcher_runs_and_stops(means, gotify, add, get):
    dispatcher = Dispatcher(means)
    dispatcher.start()
    id_ = add()

    _wait_for(lambda: get(id_).state is DeliveryState.SENT)
    dispatcher.stop()

    assert len(gotify.messages) == 1
    assert not dispatcher._thread.is_alive()


@given(attempts=st.integers(1, 10_000), seed=st.integers())
def test_delays_grow_from_seconds_to_minutes_and_no_further(attempts, seed):
    delay = retry_delay(attempts, Random(seed)).total_seconds()

    wanted = min(5 * 2 ** min(attempts - 1, 20), 600)
    assert 0.8 * wanted <= delay <= 1.2 * wanted


def _wait_for(is_so: Callable[[], bool], timeout_s: float = 15) -> None:
    """Wait until something is so; other threads are at it."""
    pause = threading.Event()
    for _ in range(int(timeout_s / 0.02)):
        if is_so():
            return
        pause.wait(0.02)
    raise AssertionError("it did not come so")
