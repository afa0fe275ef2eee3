"""Deliveries are sent once, in order, each recipient by itself."""

import logging

from sqlalchemy import delete, update

from argos.server.models import (
    Delivery,
    DeliveryState,
)
from argos.server.services.dispatch import (
    Dispatcher,
)
from tests.server.services.dispatch.watching import heads, wait_for


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


def test_recipients_do_not_wait_for_each_other(means, gotify, add, get, recipient):
    slow, quick = add("a"), add("a", to="local")
    gotify.gate.clear()
    dispatcher = Dispatcher(means)

    dispatcher.look()
    wait_for(lambda: get(quick).state is DeliveryState.SENT)
    assert get(slow).state is DeliveryState.WAITING
    gotify.gate.set()

    wait_for(lambda: get(slow).state is DeliveryState.SENT)
    dispatcher.start()
    dispatcher.stop()


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


def test_message_whose_tasks_are_gone_is_skipped(
    database, means, gotify, add, recipient
):
    id_ = add("a")
    with database.transaction() as session:
        session.execute(update(Delivery).values(batch_id="m"))
        session.execute(delete(Delivery).where(Delivery.id == id_))

    Dispatcher(means).run_lane(recipient)

    assert gotify.messages == []


def test_dispatcher_runs_and_stops(means, gotify, add, get):
    dispatcher = Dispatcher(means)
    dispatcher.start()
    id_ = add()

    wait_for(lambda: get(id_).state is DeliveryState.SENT)
    dispatcher.stop()

    assert len(gotify.messages) == 1
    assert not dispatcher._thread.is_alive()
