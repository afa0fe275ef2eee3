"""Problems that one agent alone, or a suspect one, has seen."""

from datetime import timedelta

import pytest

from argos.core.incident import (
    Doubt,
    Outcome,
    Patience,
    Reason,
    advance,
    tell_unconfirmed,
)
from tests.core.incident_steps import (
    CLOSED,
    CRITICAL,
    OK,
    OPENED,
    START,
    UNKNOWN,
    WARNING,
    doubted,
    reasons,
    run,
)


@pytest.mark.parametrize(
    ("agents", "retries", "severities", "expected"),
    [
        pytest.param(
            "ab",
            0,
            [CRITICAL, CRITICAL, OK],
            [Reason.CONFIRMING, Reason.CONFIRMED_ELSEWHERE, Reason.RECOVERED],
            id="another agent sees it too",
        ),
        pytest.param(
            "ab",
            0,
            [CRITICAL, OK, OK],
            [Reason.CONFIRMING, Reason.REFUTED, Reason.STILL_OK],
            id="another agent sees nothing",
        ),
        pytest.param(
            "a",
            0,
            [CRITICAL, CRITICAL, OK],
            [Reason.CONFIRMING, Reason.UNCONFIRMED, Reason.RECOVERED],
            id="nobody else looked",
        ),
        pytest.param(
            "a",
            0,
            [CRITICAL, OK],
            [Reason.CONFIRMING, Reason.SOFT_RECOVERY],
            id="it recovered before anybody else looked",
        ),
        pytest.param(
            "ab",
            1,
            [CRITICAL, CRITICAL, OK],
            [Reason.RETRYING, Reason.CONFIRMED, Reason.RECOVERED],
            id="the retry was another agent's: nothing is left to ask",
        ),
        pytest.param(
            "aab",
            1,
            [CRITICAL, CRITICAL, CRITICAL],
            [Reason.RETRYING, Reason.CONFIRMING, Reason.CONFIRMED_ELSEWHERE],
            id="the retry was its own",
        ),
        pytest.param(
            "abba",
            1,
            [CRITICAL, WARNING, CRITICAL, CRITICAL],
            [Reason.RETRYING, Reason.CONFIRMED, Reason.MORE_URGENT, Reason.STILL_BAD],
            id="what people know is not asked again",
        ),
    ],
)
def test_a_second_opinion_comes_before_the_notice(
    agents, retries, severities, expected
):
    found = reasons(severities, agents=agents, retries=retries, asks_another=True)

    assert found == expected


def test_another_location_is_asked_of_what_several_agents_saw_here():
    severities = [CRITICAL, CRITICAL, OK]

    asked = run(severities, agents="abc", retries=1, asks_elsewhere=True)
    reasons = [step.reason for step in asked]

    assert reasons == [Reason.RETRYING, Reason.CONFIRMING, Reason.REFUTED]
    assert asked[-1].state.doubt == Doubt("b", START + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        pytest.param(CRITICAL, Reason.UNCONFIRMED, id="the first one sees it again"),
        pytest.param(OK, Reason.SOFT_RECOVERY, id="the first one sees it no more"),
    ],
)
def test_who_could_not_look_answers_nothing(later, reason):
    steps = run([CRITICAL, UNKNOWN, later], agents="aba", asks_another=True)

    assert [step.reason for step in steps] == [
        Reason.CONFIRMING,
        Reason.NO_ANSWER,
        reason,
    ]
    assert steps[1].state.seen_by == "a"
    assert steps[-1].state.told is (CRITICAL if later is CRITICAL else OK)


def test_agents_that_disagree_are_remembered_until_they_agree():
    steps = run(
        [CRITICAL, OK, OK, CRITICAL, OK, OK], agents="abbaba", asks_another=True
    )
    doubts = [step.state.doubt for step in steps]

    doubt = Doubt("a", START)
    assert doubts == [None, doubt, doubt, doubt, doubt, None]
    assert [step.event for step in steps] == [None] * 6


def test_what_one_agent_alone_saw_is_no_change_of_the_website():
    steps = run([OK, CRITICAL] * 12, agents="ba", asks_another=True)

    assert steps[-1].state.history.changes == 1
    assert not any(step.event for step in steps)


def test_a_problem_is_told_without_the_answer_that_did_not_come():
    waiting = run([OK, CRITICAL], asks_another=True)[-1].state

    step = tell_unconfirmed(waiting, CRITICAL)

    assert (step.event, step.reason) == (OPENED, Reason.UNCONFIRMED)
    assert step.state.told is CRITICAL
    assert step.state.confirming_since is None
    assert advance(step.state, Outcome(OK, START), Patience()).event is CLOSED


def test_i33_a_suspect_agent_takes_its_findings_with_it():
    waiting = run([OK, OK, CRITICAL], asks_another=True)[-1].state

    step = doubted(waiting)

    assert (step.event, step.reason) == (None, Reason.AGENT_SUSPECT)
    assert step.state.contiguous_failures == 0
    assert step.state.confirming_since is None
    assert step.state.history.changes == 0


def test_i33_a_suspect_agent_takes_nothing_that_others_saw():
    told = run([OK, CRITICAL, CRITICAL], agents="bab", asks_another=True)[-1].state
    seen_by_b = run([CRITICAL], agents="b", retries=2)[-1].state

    assert doubted(told).state == told
    assert doubted(seen_by_b).state == seen_by_b
