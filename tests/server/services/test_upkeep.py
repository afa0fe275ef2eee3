"""Housework: claimed, isolated, and cut off."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from argos.errors import DatabaseUnreachable
from argos.server.models import (
    Duty as DutyRow,
    User,
)
from argos.server.services.upkeep import CLAIM_INTERVAL, Duty, Upkeep, Work

MINUTE = timedelta(minutes=1)


def test_duty_is_done_once_in_its_interval(keep, clock, get_duty):
    turns = []
    upkeep = keep(Duty("a", 5 * MINUTE, lambda work: turns.append(work.now)))

    for _ in range(11):
        upkeep.do_due()
        clock.move(minutes=1)

    row = get_duty("a")
    assert [turn - turns[0] for turn in turns] == [0 * MINUTE, 5 * MINUTE, 10 * MINUTE]
    assert (row.term, row.holder) == (3, None)
    assert row.finished_at == turns[-1]


def test_i36_duty_is_done_at_once_after_the_clock_was_set_back(keep, clock):
    turns = []
    upkeep = keep(Duty("a", MINUTE, lambda work: turns.append(work.now)))
    upkeep.do_due()
    clock.move(hours=-1)

    for _ in range(3):
        upkeep.do_due()
        clock.move(seconds=30)

    assert len(turns) == 3


def test_duty_is_not_done_again_for_a_clock_that_is_a_little_behind(keep, clock):
    turns = []
    upkeep = keep(Duty("a", MINUTE, lambda work: turns.append(work.now)))
    upkeep.do_due()
    clock.move(seconds=-50)

    upkeep.do_due()

    assert len(turns) == 1


def test_duty_that_fails_is_logged_and_keeps_nothing_from_the_others(
    keep, clock, caplog
):
    done = []

    def fail(work: Work) -> None:
        raise RuntimeError("the roof is on fire")

    upkeep = keep(
        Duty("a", 5 * MINUTE, fail),
        Duty("b", 5 * MINUTE, lambda work: done.append("b")),
        Duty("c", 5 * MINUTE, fail),
    )

    upkeep.do_due()
    clock.move(minutes=1)
    upkeep.do_due()

    assert done == ["b"]
    assert caplog.text.count("The duty a failed.") == 2
    assert caplog.text.count("RuntimeError: the roof is on fire") == 4


def test_note_is_there_in_the_next_turn_but_not_that_of_a_failed_one(keep, clock):
    seen: list[Any] = []

    def do(work: Work) -> None:
        seen.append(work.note)
        work.note = {"turn": len(seen)}
        if len(seen) == 2:
            raise RuntimeError

    upkeep = keep(Duty("a", MINUTE, do))
    for _ in "1234":
        upkeep.do_due()
        clock.move(minutes=1)

    assert seen == [None, {"turn": 1}, {"turn": 1}, {"turn": 3}]


def test_duty_that_wants_more_has_its_next_turn_at_once(keep):
    turns = []

    def do(work: Work) -> None:
        turns.append(1)
        work.wants_more = len(turns) < 3

    upkeep = keep(Duty("a", MINUTE, do))
    for _ in range(5):
        upkeep.do_due()

    assert len(turns) == 3


@pytest.mark.parametrize("fails", [False, True])
def test_turn_at_whose_end_the_database_was_away_ends_when_it_is_back(
    keep, clock, database, get_duty, monkeypatch, fails
):
    turns = []

    def away(*_: object) -> Any:
        raise DatabaseUnreachable("it restarts")

    def lose_the_database(work: Work) -> None:
        turns.append(work.now)
        if len(turns) == 1:
            monkeypatch.setattr(database, "transaction", away)
            if fails:
                away()

    upkeep = keep(Duty("a", timedelta(seconds=1), lose_the_database))
    with pytest.raises(DatabaseUnreachable):
        upkeep.do_due()
    with pytest.raises(DatabaseUnreachable):
        upkeep.do_due()
    monkeypatch.undo()

    upkeep.do_due()
    clock.move(seconds=1)
    upkeep.do_due()

    assert len(turns) == 2
    assert (get_duty("a").term, get_duty("a").holder) == (2, None)


def test_duty_of_a_server_that_died_is_taken_over_when_its_claim_ends(
    keep, clock, get_duty
):
    def die(work: Work) -> None:
        raise SystemExit

    done = []
    first = keep(Duty("a", MINUTE, die), holder="server 1")
    second = keep(
        Duty("a", MINUTE, lambda work: done.append(work.now)), holder="server 2"
    )
    with pytest.raises(SystemExit):
        first.do_due()

    second.do_due()
    before = list(done)
    clock.now += CLAIM_INTERVAL
    second.do_due()

    assert (before, len(done)) == ([], 1)
    assert get_duty("a").term == 2


def test_note_is_kept_with_the_work_that_it_is_of(keep, clock, get_duty):
    def die(work: Work) -> None:
        with work.transaction():
            work.note = {"done": 1}
        raise SystemExit

    with pytest.raises(SystemExit):
        keep(Duty("a", MINUTE, die)).do_due()

    assert get_duty("a").note == {"done": 1}


@pytest.mark.parametrize(
    ("lasted", "prolonged"),
    [(CLAIM_INTERVAL / 20, 0 * MINUTE), (CLAIM_INTERVAL / 2, CLAIM_INTERVAL / 2)],
    ids=["short", "long"],
)
def test_claim_is_prolonged_once_more_after_work_that_took_long(
    keep, clock, get_duty, lasted, prolonged
):
    begun = clock.now

    def die(work: Work) -> None:
        with work.transaction():
            clock.now += lasted
        raise SystemExit

    with pytest.raises(SystemExit):
        keep(Duty("a", MINUTE, die)).do_due()

    assert get_duty("a").due_at == begun + CLAIM_INTERVAL + prolonged


def test_server_that_lost_its_turn_writes_nothing_any_more(
    keep, clock, database, get_duty, caplog
):
    other = keep(Duty("a", MINUTE, lambda work: None), holder="server 2")

    def sleep_too_long(work: Work) -> None:
        clock.now += CLAIM_INTERVAL
        other.do_due()
        with work.transaction() as session:
            session.add(User(username="ghost", password="x"))

    keep(Duty("a", MINUTE, sleep_too_long)).do_due()

    with database.reading() as session:
        assert session.scalars(select(User)).all() == []
    assert get_duty("a").term == 2
    assert "Another server goes on with the duty a." in caplog.text


def test_turn_that_goes_on_keeps_its_claim(keep, clock):
    done = []
    other = keep(Duty("a", MINUTE, lambda work: done.append("other")), holder="2")

    def do(work: Work) -> None:
        for _ in range(3):
            clock.now += CLAIM_INTERVAL / 2
            with work.transaction():
                pass
            other.do_due()
        done.append("own")

    keep(Duty("a", MINUTE, do)).do_due()

    assert done == ["own"]


def test_servers_at_once_do_each_duty_once(make_means):
    done: list[str] = []
    todo = [Duty(name, MINUTE, lambda work: done.append("x")) for name in "abcdef"]
    upkeeps = [Upkeep(make_means(f"server {place}"), todo) for place in range(4)]
    barrier = threading.Barrier(4)

    def serve(upkeep: Upkeep) -> None:
        barrier.wait()
        upkeep.enter()
        upkeep.do_due()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(serve, upkeeps))

    assert len(done) == 6


def test_upkeep_runs_by_itself_and_stops(make_means):
    done = threading.Event()
    looked = threading.Event()
    upkeep = Upkeep(
        make_means(), [Duty("a", MINUTE, lambda work: done.set())], on_look=looked.set
    )

    upkeep.start()
    was_done = done.wait(10) and looked.wait(10)
    upkeep.stop()

    assert was_done
    assert not upkeep._thread.is_alive()


def test_duties_of_a_later_version_are_left_alone(keep, database, get_duty):
    upkeep = keep(Duty("a", MINUTE, lambda work: None))
    with database.transaction() as session:
        session.add(DutyRow(name="new", term=0, due_at=get_duty("a").due_at))

    upkeep.do_due()

    assert get_duty("new").term == 0
