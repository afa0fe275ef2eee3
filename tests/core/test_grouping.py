"""What goes into one message, and when."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from argos.core.grouping import (
    FIRST_WINDOW,
    MAX_QUICK,
    NEXT_WINDOW,
    SPAN,
    Flush,
    Rhythm,
    Waiting,
    decide,
    window_end,
)

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def waiting(id_: int, **changes: object) -> Waiting:
    """A notice about a website of its own."""
    facts = {
        "message_id": f"m{id_}",
        "task_id": id_,
        "website": f"https://{id_}.example/",
    }
    return Waiting(id=id_, **(facts | changes))  # type: ignore[arg-type]  # by name


def sites(count: int) -> list[Waiting]:
    return [waiting(id_) for id_ in range(1, count + 1)]


def messages(flush: Flush | None) -> list[tuple[int, ...]] | None:
    return None if flush is None else list(flush.messages)


def told(*seconds: float, was_digest: bool = False) -> Rhythm:
    """Somebody heard something so many seconds after noon."""
    return Rhythm(tuple(NOON + second * SECOND for second in seconds), was_digest)


def test_the_first_in_a_calm_time_is_told_at_once():
    flush = decide(sites(1), Rhythm(), now=NOON)

    assert flush == Flush(((1,),), told(0), NOON + FIRST_WINDOW)


def test_a_second_one_is_told_ten_seconds_later():
    first = decide(sites(2), Rhythm(), now=NOON)
    assert first is not None
    rest = sites(2)[1:]

    assert messages(first) == [(1,)]
    assert decide(rest, first.rhythm, now=NOON + 9 * SECOND) is None
    later = decide(rest, first.rhythm, now=NOON + 10 * SECOND)
    assert later == Flush(((2,),), told(0, 10), NOON + 10 * SECOND + NEXT_WINDOW)


def test_what_more_comes_with_the_first_is_told_together():
    flush = decide(sites(4)[1:], told(0), now=NOON + FIRST_WINDOW)

    assert messages(flush) == [(2, 3, 4)]
    assert flush is not None
    assert flush.next_at == NOON + FIRST_WINDOW + NEXT_WINDOW


def test_i27_from_the_third_message_on_a_minute_is_gathered():
    rhythm = told(0, 10)

    assert decide(sites(1), rhythm, now=NOON + 69 * SECOND) is None
    assert messages(decide(sites(1), rhythm, now=NOON + 70 * SECOND)) == [(1,)]
    assert messages(decide(sites(3), rhythm, now=NOON + 70 * SECOND)) == [(1, 2, 3)]


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

    flush = decide(mixed, told(0), now=NOON + FIRST_WINDOW)

    assert messages(flush) == [(1, 2, 3, 4, 5, 6)]
    assert flush is not None
    assert not flush.rhythm.was_digest


def test_what_has_one_cause_is_one_message():
    gathered = [waiting(id_, leader_id=7) for id_ in range(1, 9)]
    alone = [waiting(10, leader_id=8), waiting(11, leader_id=8, task_id=10)]

    assert messages(decide(gathered, told(0), now=NOON + FIRST_WINDOW)) == [
        (1, 2, 3, 4, 5, 6, 7, 8)
    ]
    assert messages(decide([*gathered, waiting(9)], Rhythm(), now=NOON)) == [
        (1, 2, 3, 4, 5, 6, 7, 8)
    ]
    assert messages(decide(alone, Rhythm(), now=NOON)) == [(10,)]


def test_who_is_not_patient_is_told_at_once():
    flush = decide(sites(3), told(0, was_digest=True), now=NOON, is_patient=False)

    assert messages(flush) == [(1, 2, 3)]


@pytest.mark.parametrize(
    ("rhythm", "seconds", "expected"),
    [
        pytest.param(told(0), 11, [(1, 2)], id="one before"),
        pytest.param(told(-60, 0), 59, None, id="two before"),
        pytest.param(told(-60, 0), 60, [(1, 2)], id="a minute later"),
        pytest.param(told(0), 120, [(1,)], id="calm"),
        pytest.param(told(0, was_digest=True), 59, None, id="storm"),
        pytest.param(told(0, was_digest=True), 119, [(1, 2)], id="storm not over"),
        pytest.param(told(0, was_digest=True), 120, [(1,)], id="storm over"),
        pytest.param(told(0, 10), -3600, [(1,)], id="clock set back"),
        pytest.param(told(0, 10), -30, None, id="clock set back a little"),
    ],
)
def test_when_it_is_calm_again(rhythm, seconds, expected):
    flush = decide(sites(2), rhythm, now=NOON + seconds * SECOND)

    assert messages(flush) == expected


def test_nothing_pending_is_nothing_to_tell():
    assert decide([], Rhythm(), now=NOON) is None


@st.composite
def arrivals(draw: st.DrawFn) -> list[float]:
    """Seconds: bursts and trickles, and quiet times in between."""
    moments: list[float] = []
    now = 0.0
    for _ in range(draw(st.integers(1, 6))):
        pause = draw(st.sampled_from([0.0, 0.1, 1.0, 5.0, 9.0, 10.0, 30.0, 61.0]))
        for _ in range(draw(st.integers(1, 25))):
            moments.append(now)
            now += pause
        now += draw(st.floats(0, 200))
    return moments


@given(moments=arrivals(), has_sites=st.booleans())
@settings(max_examples=60)
def test_i27_nobody_gets_more_than_three_messages_in_two_minutes(moments, has_sites):
    """However notices come, each is in exactly one; the dispatcher looks each second."""
    left = [
        (
            moment,
            waiting(
                place,
                website=f"https://{place if has_sites else place % 3}.example/",
                leader_id=place // 4,
            ),
        )
        for place, moment in enumerate(moments)
    ]
    listed: list[int] = []
    sent_at: list[datetime] = []
    rhythm, second = Rhythm(), 0
    while left:
        assert second < moments[-1] + 2 * SPAN / SECOND, "something waits too long"
        second += 1
        now = NOON + second * SECOND
        pending = [one for moment, one in left if moment <= second]
        flush = decide(pending, rhythm, now=now)
        if flush is not None:
            rhythm = flush.rhythm
            sent_at += [now for _ in flush.messages]
            listed += [id_ for message in flush.messages for id_ in message]
            left = [(moment, one) for moment, one in left if one.id not in listed]

    assert sorted(listed) == list(range(len(moments)))
    assert all(
        later - sooner >= SPAN
        for sooner, later in zip(sent_at, sent_at[MAX_QUICK + 1 :], strict=False)
    )


@given(quiet_s=st.integers(120, 10_000), was_digest=st.booleans())
def test_a_problem_in_a_calm_time_is_told_at_once(quiet_s, was_digest):
    rhythm = told(-9, -2, 0, was_digest=was_digest)

    flush = decide(sites(1), rhythm, now=NOON + quiet_s * SECOND)

    assert messages(flush) == [(1,)]


@given(
    seconds=st.lists(st.integers(-300, 0), max_size=9).map(sorted),
    was_digest=st.booleans(),
    count=st.integers(1, 50),
    later=st.one_of(st.integers(-300, 300), st.integers(-(10**9), 10**9)),
)
def test_nothing_waits_for_longer_than_the_window(seconds, was_digest, count, later):
    rhythm = told(*seconds, was_digest=was_digest)
    now = NOON + later * SECOND
    end = window_end(rhythm, now=now)

    flush = decide(sites(count), rhythm, now=max(now, end))

    assert flush is not None
    assert end - now <= 2 * NEXT_WINDOW
    assert len(flush.messages) <= MAX_QUICK
