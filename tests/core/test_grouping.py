"""What goes into one message, and when."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from argos.core.grouping import (
    FIRST_WINDOW,
    MAX_SINGLE,
    NEXT_WINDOW,
    Flush,
    Rhythm,
    Waiting,
    decide,
    find_due_message,
    list_pending,
    window_end,
)

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def waiting(id_: int, **changes: object) -> Waiting:
    """A notice about a website of its own."""
    facts = {
        "message_id": f"m{id_}",
        "batch_id": None,
        "due_at": NOON,
        "task_id": id_,
        "website": f"https://{id_}.example/",
    }
    return Waiting(id=id_, **(facts | changes))  # type: ignore[arg-type]  # by name


def sites(count: int) -> list[Waiting]:
    return [waiting(id_) for id_ in range(1, count + 1)]


def messages(flush: Flush | None) -> list[tuple[int, ...]] | None:
    return None if flush is None else list(flush.messages)


def test_the_first_after_a_quiet_time_is_told_at_once():
    flush = decide(sites(1), Rhythm(), now=NOON)

    assert flush == Flush(((1,),), Rhythm(NOON, 1), NOON + FIRST_WINDOW)


def test_what_comes_with_it_waits_for_ten_seconds_and_is_told_one_by_one():
    first = decide(sites(4), Rhythm(), now=NOON)
    assert first is not None
    rest = sites(4)[1:]

    assert messages(first) == [(1,)]
    assert decide(rest, first.rhythm, now=NOON + 9 * SECOND) is None
    later = decide(rest, first.rhythm, now=NOON + 10 * SECOND)
    assert messages(later) == [(2,), (3,), (4,)]


def test_i27_more_than_five_go_together_and_then_for_a_minute():
    flush = decide(sites(6), Rhythm(), now=NOON)
    assert flush is not None

    assert messages(flush) == [(1, 2, 3, 4, 5, 6)]
    assert flush.rhythm.was_digest
    assert flush.next_at == NOON + NEXT_WINDOW
    assert decide(sites(1), flush.rhythm, now=NOON + 59 * SECOND) is None
    # The storm goes on: nothing is told alone that can be told together.
    again = decide(sites(2), flush.rhythm, now=NOON + 60 * SECOND)
    assert messages(again) == [(1, 2)]


def test_many_notices_of_one_website_are_one_message():
    mixed = [waiting(id_, website="https://shop.example/") for id_ in range(1, 7)]
    mixed.insert(0, waiting(9))

    flush = decide(mixed, Rhythm(NOON, streak=1), now=NOON + FIRST_WINDOW)

    assert messages(flush) == [(1, 2, 3, 4, 5, 6), (9,)]
    assert flush is not None
    assert not flush.rhythm.was_digest


def test_what_has_one_cause_is_one_message():
    mixed = [waiting(1, leader_id=7), waiting(2), waiting(3, leader_id=7)]
    alone = [waiting(4, leader_id=8), waiting(5, leader_id=8, task_id=4)]

    flush = decide([*mixed, *alone], Rhythm(NOON, streak=1), now=NOON + FIRST_WINDOW)

    assert messages(flush) == [(1, 3), (2,), (4,), (5,)]


def test_what_is_about_no_website_is_not_bundled_below_a_storm():
    many = [waiting(id_, website=None, task_id=None) for id_ in range(1, 4)]

    flush = decide(many, Rhythm(NOON, streak=1), now=NOON + FIRST_WINDOW)

    assert messages(flush) == [(1,), (2,), (3,)]


def test_who_is_not_patient_is_told_at_once():
    rhythm = Rhythm(NOON, streak=9, was_digest=True)

    flush = decide(sites(3), rhythm, now=NOON, is_patient=False)

    assert messages(flush) == [(1, 2, 3)]


@pytest.mark.parametrize(
    ("rhythm", "seconds", "expected"),
    [
        pytest.param(Rhythm(NOON, 5), 60, [(1,)], id="quiet after notices"),
        pytest.param(Rhythm(NOON, 5), 59, [(1, 2)], id="not quiet yet"),
        pytest.param(Rhythm(NOON, 5, True), 119, [(1, 2)], id="storm not over"),
        pytest.param(Rhythm(NOON, 5, True), 120, [(1,)], id="storm over"),
        pytest.param(Rhythm(NOON, 5, True), -3600, [(1,)], id="clock set back"),
    ],
)
def test_when_it_is_quiet_again(rhythm, seconds, expected):
    flush = decide(sites(2), rhythm, now=NOON + seconds * SECOND)

    assert messages(flush) == expected


def test_nothing_pending_is_nothing_to_tell():
    assert decide([], Rhythm(), now=NOON) is None


@given(
    arrivals=st.lists(st.floats(0, 9.9), min_size=20, max_size=100),
    tail=st.lists(st.floats(10, 119), max_size=30),
)
@settings(max_examples=40)
def test_i27_a_storm_is_at_most_three_messages_in_two_minutes(arrivals, tail):
    """Each notice is in exactly one; the dispatcher looks once a second."""
    moments = sorted([0.0, *arrivals, *tail])
    told: list[int] = []
    rhythm, count, begin = Rhythm(), 0, NOON
    for second in range(1, 121):
        now = begin + second * SECOND
        pending = [
            waiting(place)
            for place, moment in enumerate(moments)
            if moment <= second and place not in told
        ]
        flush = decide(pending, rhythm, now=now)
        if flush is not None:
            rhythm = flush.rhythm
            count += len(flush.messages)
            told += [id_ for message in flush.messages for id_ in message]

    assert count <= 3
    assert len(told) == len(set(told))


@given(
    rhythm=st.builds(
        Rhythm,
        st.one_of(st.none(), st.just(NOON)),
        st.integers(0, 100),
        st.booleans(),
    ),
    count=st.integers(1, 50),
    hours=st.integers(-400_000, 400_000),
)
def test_nothing_waits_for_longer_than_the_window(rhythm, count, hours):
    now = NOON + timedelta(hours=hours)
    end = window_end(rhythm, now=now)

    flush = decide(sites(count), rhythm, now=max(now, end))

    assert flush is not None
    assert end - now <= 2 * NEXT_WINDOW
    assert len(flush.messages) <= MAX_SINGLE + 1


def test_a_message_whose_content_is_decided_comes_in_order():
    rows = [
        waiting(1, batch_id="a"),
        waiting(2, batch_id="b", due_at=NOON + SECOND),
        waiting(3, batch_id="c", task_id=2),
        waiting(4, batch_id="d"),
    ]

    assert find_due_message(rows, now=NOON) == "a"
    assert find_due_message(rows[1:], now=NOON) == "d"
    assert find_due_message(rows[1:], now=NOON + SECOND) == "b"
    assert find_due_message(rows[2:], now=NOON) == "c"
    assert find_due_message([], now=NOON) is None


def test_what_follows_something_that_waits_is_not_pending():
    rows = [
        waiting(1, due_at=NOON + SECOND),
        waiting(2, task_id=1),
        waiting(3, batch_id="a"),
        waiting(4, task_id=3),
        waiting(5),
        waiting(6, task_id=5),
        waiting(7, task_id=None),
    ]

    assert [one.id for one in list_pending(rows, now=NOON)] == [5, 6, 7]
