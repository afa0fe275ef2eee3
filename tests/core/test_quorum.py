"""How many locations must see a problem, and what one of them makes of that."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from argos.core.incident import (
    EventKind,
    Outcome,
    Patience,
    Reason,
    TaskState,
    advance,
    end_unseen,
)
from argos.core.quorum import Ballot, View, majority, weigh
from argos.core.severity import Severity

START = datetime(2026, 1, 1, tzinfo=UTC)
PLACES = ("oslo", "paris", "tokyo")


def view(name="oslo", *, failing=False, told=False, answering=True):
    return View(name, failing, told, answering)


@pytest.mark.parametrize(
    ("views", "quorum", "ballot"),
    [
        ([view(), view("paris")], 2, Ballot(2, is_answered=True)),
        (
            [view(failing=True), view("paris")],
            2,
            Ballot(2, ("oslo",), is_answered=True),
        ),
        (
            [view(failing=True, told=True)],
            2,
            Ballot(2, ("oslo",), is_told=True, is_answered=True),
        ),
        ([view(answering=False), view("paris", answering=False)], 2, Ballot(1)),
        (
            [view(failing=True, answering=False), view("paris")],
            3,
            Ballot(2, is_answered=True),
        ),
        ([], 3, Ballot(1)),
    ],
)
def test_votes_are_counted(views, quorum, ballot):
    assert weigh(views, quorum=quorum) == ballot


@pytest.mark.parametrize(("count", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_more_than_half_is_the_usual_quorum(count, needed):
    assert majority(count) == needed


def step(state, severity, ballot, **settings):
    outcome = Outcome(severity, START, agent="anna")
    return advance(state, outcome, Patience(ballot=ballot, **settings))


def test_too_few_locations_tell_nothing():
    seen = step(TaskState(), Severity.CRITICAL, Ballot(2))

    assert (seen.event, seen.reason) == (None, Reason.TOO_FEW)
    assert seen.state.contiguous_failures == 1


def test_whoever_completes_the_quorum_tells():
    seen = step(TaskState(), Severity.CRITICAL, Ballot(2, ("oslo",)))

    assert (seen.event, seen.reason) == (EventKind.OPENED, Reason.QUORUM)


def test_what_another_location_has_told_is_not_told_again():
    seen = step(TaskState(), Severity.CRITICAL, Ballot(2, ("oslo",), is_told=True))

    assert (seen.event, seen.reason) == (None, Reason.TOLD_ELSEWHERE)


def test_retries_come_before_the_vote():
    seen = step(TaskState(), Severity.CRITICAL, Ballot(2, ("oslo",)), retries=1)

    assert (seen.event, seen.reason) == (None, Reason.RETRYING)


def test_it_is_not_over_while_enough_others_see_it():
    told = step(TaskState(), Severity.CRITICAL, Ballot(2, ("oslo",))).state

    still = step(told, Severity.OK, Ballot(2, ("oslo", "tokyo")))
    over = step(still.state, Severity.OK, Ballot(2, ("oslo",)))

    assert (still.event, still.reason) == (None, Reason.BAD_ELSEWHERE)
    assert (over.event, over.reason) == (EventKind.CLOSED, Reason.RECOVERED)


def test_an_orphan_ends_and_may_begin_again():
    told = step(TaskState(), Severity.CRITICAL, Ballot(1)).state

    ended = end_unseen(told, Reason.OK_ELSEWHERE)

    assert (ended.event, ended.reason) == (EventKind.CLOSED, Reason.OK_ELSEWHERE)
    assert ended.state.told is Severity.OK


@given(
    st.lists(st.tuples(st.sampled_from(PLACES), st.booleans()), max_size=60),
    st.integers(1, 3),
)
def test_whatever_they_see_problems_are_told_once_and_pair(looks, quorum):
    states = dict.fromkeys(PLACES, TaskState())
    is_open = False
    for place, (name, fails) in enumerate(looks):
        others = [
            View(
                other,
                state.contiguous_failures > 0,
                state.told is not Severity.OK,
                is_answering=True,
            )
            for other, state in states.items()
            if other != name
        ]
        ballot = weigh(others, quorum=quorum)
        moment = START + timedelta(minutes=place)
        severity = Severity.CRITICAL if fails else Severity.OK
        done = advance(
            states[name], Outcome(severity, moment, name), Patience(ballot=ballot)
        )
        states[name] = done.state
        failing = sum(state.contiguous_failures > 0 for state in states.values())
        if done.event in {EventKind.OPENED, EventKind.FLAPPING}:
            assert not is_open
            assert failing >= quorum
            is_open = True
        elif done.event is EventKind.CLOSED:
            assert is_open
            assert failing < quorum
            is_open = False
        told = [state for state in states.values() if state.told is not Severity.OK]
        assert len(told) == is_open
        assert is_open or failing < quorum
