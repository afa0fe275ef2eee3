"""Each message is sent by one server, and repeated as it was after a crash."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from random import Random

from argos.server.models import DeliveryState
from argos.server.queries import deliveries as queries, overtaken
from argos.server.services.dispatch import CLAIM_INTERVAL, Dispatcher, Means
from tests.server.services.desk import Clock


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


class SetBack(Clock):
    """A wall clock that was set back, while time goes on."""

    passed_s = 0.0

    def monotonic(self) -> float:
        return self.passed_s


def test_i36_a_claim_of_a_dead_server_does_not_last_until_its_clock_is_right_again(
    means, clock, gotify, add, recipient, claim
):
    add()
    claim("server 2")
    clock.now -= timedelta(hours=5)
    dispatcher = Dispatcher(means)

    for _ in "1234":
        with means.database.transaction() as session:
            overtaken.bring_back(session, now=clock.now)
        dispatcher.run_lane(recipient)
        clock.move(seconds=59)

    assert len(gotify.messages) == 1


def test_whoever_lives_marks_as_sent_what_was_claimed_before_a_clock_was_set_back(
    database, clock, get, add, claim
):
    id_ = add()
    own = claim("server 1")
    clock.now -= timedelta(hours=5)
    with database.transaction() as session:
        overtaken.bring_back(session, now=clock.now)

    end = queries.Finish(DeliveryState.SENT, due_at=clock.now, sent_at=clock.now)
    with database.transaction() as session:
        is_ours = queries.finish_claim(session, claim=own, end=end)

    assert is_ours
    assert get(id_).state is DeliveryState.SENT


def test_nothing_is_sent_late_that_another_server_may_have_by_a_clock_set_back(
    means, gotify, add, get, recipient, now
):
    clock, looks = SetBack(now), []

    def get_config():
        looks.append(clock.now)
        if len(looks) == 2:  # once to decide, and once to send what was claimed
            clock.passed_s = 50
            clock.now -= timedelta(hours=5)
        return means.get_config()

    id_ = add()

    Dispatcher(replace(means, clock=clock, get_config=get_config)).run_lane(recipient)

    assert gotify.messages == []
    assert "no time left" in get(id_).last_error
