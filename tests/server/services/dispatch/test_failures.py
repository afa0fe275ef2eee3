"""What cannot be sent is tried again or given up, and holds up nothing else."""

import threading
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import select, update

from argos.channels import Channel
from argos.core.incident import EventKind
from argos.server.models import (
    Delivery,
    DeliveryState,
    DeliveryTarget,
)
from argos.server.queries import deliveries as queries
from argos.server.services.dispatch import (
    HORIZON,
    Dispatcher,
    retry_delay,
)
from tests.server.services.dispatch.watching import heads


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


def test_digest_that_is_refused_is_told_in_parts(means, gotify, add, get, recipient):
    ids = [add(f"site{place}") for place in range(6)]
    gotify.statuses = [413, 413, 400]

    Dispatcher(means).run_lane(recipient)

    states = [get(id_).state for id_ in ids]
    assert states == [DeliveryState.DEAD] + [DeliveryState.SENT] * 5
    assert len(set(gotify.ids)) == len(gotify.ids) == 2


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


@given(attempts=st.integers(1, 10_000), seed=st.integers())
def test_delays_grow_from_seconds_to_minutes_and_no_further(attempts, seed):
    delay = retry_delay(attempts, Random(seed)).total_seconds()

    wanted = min(5 * 2 ** min(attempts - 1, 20), 600)
    assert 0.8 * wanted <= delay <= 1.2 * wanted
