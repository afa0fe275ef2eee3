"""Deliveries: sent once, in order, tried again, given up; each recipient by itself."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import delete, select, update

from argos.channels import Channel, expand_recipient
from argos.core.cause import Cause
from argos.core.incident import EventKind
from argos.core.severity import Severity, Status
from argos.server.models import (
    Delivery,
    DeliveryState,
    DeliveryTarget,
    Event,
    Incident,
)
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


def heads(gotify) -> list[str]:
    """The beginnings of the titles."""
    return [title.partition(" · ")[0] for title in gotify.titles]


def test_what_is_due_is_sent_and_marked(means, clock, gotify, add, get, recipient):
    id_ = add()

    Dispatcher(means).run_lane(recipient)

    delivery = get(id_)
    assert heads(gotify) == ["❌ a.example.org (IPv4): status critical"]
    assert (delivery.state, delivery.sent_at) == (DeliveryState.SENT, clock.now)
    assert (delivery.attempts, delivery.claimed_by) == (1, None)
    assert delivery.last_error is None
    assert delivery.batch_id == delivery.message_id


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
        clock.move(minutes=1)

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
    assert "Gave up message" in caplog.text
    assert "answered 401" in caplog.text


def test_refused_delivery_does_not_hold_up_the_next(
    means, clock, gotify, add, get, recipient
):
    first, second = add("a"), add("b")
    gotify.statuses = [400]
    dispatcher = Dispatcher(means)

    dispatcher.run_lane(recipient)
    clock.move(seconds=10)
    dispatcher.run_lane(recipient)

    assert get(first).state is DeliveryState.DEAD
    assert get(second).state is DeliveryState.SENT


@pytest.mark.parametrize(
    "name", ["carrier-pigeon", "apprise:nobody", "mail", "local:x"]
)
def test_recipient_that_does_not_exist_is_given_up_with_a_reason(
    means, add, get, name, caplog, clock
):
    id_ = add(to=name)
    clock.move(minutes=10)

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
        clock.move(seconds=61)

    assert HORIZON - timedelta(minutes=1) < clock.now - begin
    assert clock.now - begin <= HORIZON + timedelta(minutes=2)
    assert get(id_).attempts >= 1
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


def test_recovery_is_told_after_the_problem_that_could_not_be_sent(
    means, clock, gotify, add, get, recipient
):
    add("a", EventKind.OPENED)
    gotify.statuses = [503]
    dispatcher = Dispatcher(means)
    dispatcher.run_lane(recipient)
    add("a", EventKind.CLOSED)
    add("b", EventKind.OPENED)

    for _ in range(12):
        clock.move(seconds=10)
        dispatcher.run_lane(recipient)

    assert heads(gotify) == ["❌ 1 problem, ✅ 1 ok again"]
    told = gotify.messages[0]["message"]
    assert "critical at 12:00:00 UTC, ok at 12:00:00 UTC" in told


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
    for _ in "12":
        clock.move(minutes=1)
        dispatcher.run_lane(recipient)

    assert {get(first).state, get(second).state} == {DeliveryState.SENT}
    assert attempts == (1, 0)
    assert len(gotify.messages) == 1


@pytest.fixture
def claim(database, clock, recipient) -> Callable[..., Any]:
    """Claims the next message, as a server does before it sends."""

    def claim(holder: str) -> queries.Claim:
        with database.transaction() as session:
            queries.lock_target(session, recipient=recipient)
            waiting = queries.list_waiting(session, recipient=recipient, limit=10)
            batch_id = waiting[0].batch_id or waiting[0].message_id
            ids = [one.id for one in waiting]
            queries.put_into_message(session, ids=ids, batch_id=batch_id)
            return queries.claim_message(
                session,
                batch_id=batch_id,
                recipient=recipient,
                holder=holder,
                until=clock.now + CLAIM_INTERVAL,
            )

    return claim


def test_claim_of_a_dead_server_is_taken_over(means, clock, add, get, recipient, claim):
    id_ = add()
    claim("server 2")
    dispatcher = Dispatcher(means)

    dispatcher.run_lane(recipient)
    before = get(id_).state
    clock.now += CLAIM_INTERVAL
    dispatcher.run_lane(recipient)

    assert (before, get(id_).state) == (DeliveryState.WAITING, DeliveryState.SENT)
    assert get(id_).attempts == 2


def test_i25_a_digest_is_repeated_with_the_same_id_and_the_same_content(
    means, clock, gotify, add, recipient, claim
):
    for site in "abc":
        add(site)
    taken = claim("server 2")  # which sent it, and died before it could say so
    add("d")
    clock.now += CLAIM_INTERVAL

    Dispatcher(means).run_lane(recipient)

    assert gotify.ids[0] == taken.batch_id
    assert gotify.titles[0].startswith("❌ 3 problems · a.example.org, b.example.org")
    assert "d.example.org" not in gotify.messages[0]["message"]


def test_server_that_wakes_up_too_late_changes_nothing(
    database, clock, add, get, claim
):
    id_ = add()

    late = claim("server 1")
    clock.now += CLAIM_INTERVAL
    claim("server 2")
    end = queries.Finish(DeliveryState.DEAD, due_at=clock.now, last_error="late")
    with database.transaction() as session:
        is_ours = queries.finish_claim(session, claim=late, end=end)

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

    assert len(gotify.messages) == 1
    listed = gotify.messages[0]["message"]
    assert all(f"site{place}.example.org" in listed for place in range(15))
    assert {get(id_).state for id_ in ids} == {DeliveryState.SENT}


def test_delivery_of_a_later_version_does_not_hold_up_the_next(
    database, means, clock, gotify, add, recipient
):
    add("a")
    add("b")
    with database.transaction() as session:
        session.execute(
            update(Delivery)
            .where(Delivery.id == 1)
            .values(event_id=None, notice={"kind": "of a later version"})
        )

    dispatcher = Dispatcher(means)
    for _ in "12":
        dispatcher.run_lane(recipient)
        clock.move(seconds=10)

    assert heads(gotify) == ["❌ b.example.org (IPv4): status critical"]


def test_digest_that_is_refused_is_told_in_parts(means, gotify, add, get, recipient):
    ids = [add(f"site{place}") for place in range(6)]
    gotify.statuses = [413, 413, 400]

    Dispatcher(means).run_lane(recipient)

    states = [get(id_).state for id_ in ids]
    assert states == [DeliveryState.DEAD] + [DeliveryState.SENT] * 5
    assert len(set(gotify.ids)) == len(gotify.ids) == 2


def test_message_whose_tasks_are_gone_is_skipped(
    database, means, gotify, add, recipient
):
    id_ = add("a")
    with database.transaction() as session:
        session.execute(update(Delivery).values(batch_id="m"))
        session.execute(delete(Delivery).where(Delivery.id == id_))

    Dispatcher(means).run_lane(recipient)

    assert gotify.messages == []


def test_i27_a_thousand_websites_are_three_messages_that_list_each_once(
    means, clock, gotify, add, recipient
):
    dispatcher = Dispatcher(means)
    counts = []
    for second in [*range(12), *range(12, 120, 9)]:
        if second < 12:
            for place in range(5):
                add(f"site{second}-{place}")
        dispatcher.run_lane(recipient)
        counts.append(len(gotify.messages))
        clock.move(seconds=1 if second < 12 else 9)

    assert counts[0] == 1
    assert counts[-1] == 3
    told = "".join(message["message"] for message in gotify.messages).replace("\\", "")
    assert [
        told.count(f"https://site{second}-{place}.example.org/")
        for second in range(12)
        for place in range(5)
    ] == [1] * 60


def test_i27_a_trickle_is_few_messages_that_list_each_once(
    means, clock, gotify, add, recipient
):
    sent_at = []
    for second in range(0, 300, 5):
        if second < 240:
            add(f"site{second}")
        before = len(gotify.messages)
        # Another server each time: what was told stands in the database.
        Dispatcher(means).run_lane(recipient)
        sent_at += [second] * (len(gotify.messages) - before)
        clock.move(seconds=5)

    assert sent_at == [0, 10, 70, 130, 190, 250]
    listed = "".join(message["message"] for message in gotify.messages)
    assert [
        listed.replace("\\", "").count(f"https://site{second}.example.org/")
        for second in range(0, 240, 5)
    ] == [1] * 48


def test_i28_what_is_over_by_the_time_it_is_told_is_told_all_the_same(
    means, clock, gotify, add, recipient
):
    dispatcher = Dispatcher(means)
    for site in "abcdef":
        add(site)
    dispatcher.run_lane(recipient)
    add("g")
    clock.move(seconds=30)
    add("g", EventKind.CLOSED)
    clock.move(seconds=30)

    dispatcher.run_lane(recipient)

    told = gotify.messages[1]["message"].replace("\\", "")
    assert gotify.titles[1] == "✅ 1 ok again · g.example.org"
    assert "critical at 12:00:00 UTC, ok at 12:00:30 UTC" in told


def test_recipient_that_comes_back_hears_of_everything_in_one_message(
    means, clock, gotify, add, get, recipient
):
    gotify.statuses = [503] * 1000
    dispatcher = Dispatcher(means)
    ids = []
    for step in range(12):
        ids.append(add(f"site{step}"))
        dispatcher.run_lane(recipient)
        clock.move(minutes=5)
    gotify.statuses = []

    dispatcher.run_lane(recipient)
    clock.move(minutes=1)
    dispatcher.run_lane(recipient)

    assert {get(id_).state for id_ in ids} == {DeliveryState.SENT}
    assert len(gotify.messages) <= 2


def test_what_is_held_back_stays_so_when_the_recipient_comes_back(
    database, means, clock, gotify, add, recipient
):
    add("a")
    gotify.statuses = [503]
    dispatcher = Dispatcher(means)
    dispatcher.run_lane(recipient)
    held = add("b")
    with database.transaction() as session:
        until = clock.now + timedelta(minutes=5)
        session.execute(
            update(Delivery).where(Delivery.id == held).values(due_at=until)
        )

    clock.move(minutes=1)
    dispatcher.run_lane(recipient)

    with database.reading() as session:
        delivery = session.get_one(Delivery, held)
        assert (delivery.state, delivery.due_at) == (DeliveryState.WAITING, until)
    assert len(gotify.messages) == 1


def test_incidents_with_one_cause_are_told_in_one_message(
    database, means, gotify, add, recipient
):
    for site in "ab":
        add(site)
    with database.transaction() as session:
        session.execute(
            update(Incident)
            .where(Incident.id == 2)
            .values(parent_id=1, cause=Cause.DEPENDENCY)
        )

    Dispatcher(means).run_lane(recipient)

    assert gotify.titles[0].startswith(
        "❌ 2 problems, depends on a.example.org · a.example.org, b.example.org"
    )


def test_retry_after_is_honoured(database, means, clock, gotify, add, recipient):
    add()
    gotify.statuses = [429]
    gotify.headers = {"Retry-After": "300"}

    Dispatcher(means).run_lane(recipient)

    with database.reading() as session:
        (due_at,) = session.scalars(select(Delivery.due_at))
        assert due_at == clock.now + timedelta(minutes=5)
        target = session.get_one(DeliveryTarget, recipient)
        assert target.next_at == clock.now + timedelta(minutes=5)
        assert "answered 429" in target.last_error
        assert (
            queries.list_due_recipients(session, now=clock.now + timedelta(minutes=4))
            == []
        )


def test_what_is_given_up_is_told_once_to_others(
    means, clock, gotify, add, recipient, caplog
):
    gotify.statuses = [401, 401]
    dispatcher = Dispatcher(means)
    add("a")
    add("b")

    for _ in "12":
        dispatcher.run_lane(recipient)
        clock.move(seconds=10)
    dispatcher.run_lane("local")

    (line,) = [text for text in caplog.messages if text.startswith("Alert: ")]
    assert line == "Alert: Notices to gotify cannot be delivered"


def test_channel_that_hangs_harms_only_its_own_recipient(means, add, get):
    gate = threading.Event()

    class Hanging(Channel):
        name = f"hanging-{id(gate)}"

        def send(self, notice: Any) -> None:
            gate.wait(20)

    own = replace(means, open_channel=lambda *_: Hanging(), attempt_timeout_s=0.2)
    hanging = Dispatcher(own)
    stuck, fine = add("a", to="local"), add("b", to="local")

    hanging.run_lane("local")
    gate.set()

    assert get(stuck).state is DeliveryState.WAITING
    assert get(stuck).last_error == "The attempt took longer than 0.2 s."
    assert get(stuck).batch_id is not None, "it may have arrived"
    assert get(fine).batch_id == get(stuck).batch_id


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
