"""From results to incidents: when people are told."""

from datetime import timedelta

import pytest

from argos.core.incident import (
    Reason,
    TaskState,
)
from tests.core.incident_steps import (
    CLOSED,
    CRITICAL,
    FLAPPING,
    OK,
    OPENED,
    START,
    STEADY,
    UNKNOWN,
    WARNING,
    WORSENED,
    doubted,
    events,
    reasons,
    run,
)


@pytest.mark.parametrize(
    ("retries", "severities", "expected"),
    [
        pytest.param(0, [OK, OK], [None, None], id="I-30 a first ok is silent"),
        pytest.param(
            0,
            [OK, CRITICAL, CRITICAL, OK],
            [None, OPENED, None, CLOSED],
            id="a problem is told once, and its end",
        ),
        pytest.param(
            0,
            [WARNING, WARNING, CRITICAL, CRITICAL, CRITICAL, OK],
            [OPENED, None, WORSENED, None, None, CLOSED],
            id="worsening is told once",
        ),
        pytest.param(
            0,
            [CRITICAL, WARNING, CRITICAL, WARNING, OK],
            [OPENED, None, None, None, CLOSED],
            id="D-06 alternating severities are told once",
        ),
        pytest.param(
            0,
            [UNKNOWN, CRITICAL, UNKNOWN, OK],
            [OPENED, WORSENED, None, CLOSED],
            id="down is more urgent than unmeasured",
        ),
        pytest.param(
            0,
            [UNKNOWN],
            [OPENED],
            id="D-07 a first error is told although born unknown",
        ),
        pytest.param(
            2,
            [CRITICAL, CRITICAL, OK, CRITICAL, CRITICAL, OK],
            [None] * 6,
            id="I-23 a success starts the count anew",
        ),
        pytest.param(
            2,
            [CRITICAL, CRITICAL, CRITICAL, OK],
            [None, None, OPENED, CLOSED],
            id="I-23 N retries mean N+1 failures in a row",
        ),
        pytest.param(
            1,
            [CRITICAL, CRITICAL, CRITICAL, OK],
            [None, OPENED, None, CLOSED],
            id="A-22 retry 1, told once",
        ),
        pytest.param(
            2,
            [CRITICAL, CRITICAL],
            [None, None],
            id="A-22 retry 2, new task, two fails",
        ),
        pytest.param(
            2, [CRITICAL, OK], [None, None], id="A-22 retry 2, new task, fail then ok"
        ),
        pytest.param(
            2,
            [OK, CRITICAL, OK, CRITICAL, OK, CRITICAL],
            [None] * 6,
            id="A-22 retry 2, never two in a row",
        ),
        pytest.param(
            2,
            [OK, CRITICAL, CRITICAL, CRITICAL, WARNING, OK],
            [None, None, None, OPENED, None, CLOSED],
            id="A-22 retry 2, eases before it recovers",
        ),
        pytest.param(
            1,
            [CRITICAL, OK, CRITICAL],
            [None, None, None],
            id="A-22 retry 1, fail ok fail",
        ),
        pytest.param(
            1,
            [WARNING, CRITICAL, OK],
            [None, OPENED, CLOSED],
            id="two kinds of failure count together",
        ),
        pytest.param(
            -3, [CRITICAL, OK], [OPENED, CLOSED], id="negative retries are none"
        ),
    ],
)
def test_sequences(retries, severities, expected):
    assert events(severities, retries=retries) == expected


def test_reasons_of_a_plain_problem():
    sequence = [OK, OK, WARNING, OK, WARNING, WARNING, CRITICAL, CRITICAL, OK]

    assert reasons(sequence, retries=1) == [
        Reason.FIRST_OK,
        Reason.STILL_OK,
        Reason.RETRYING,
        Reason.SOFT_RECOVERY,
        Reason.RETRYING,
        Reason.CONFIRMED,
        Reason.MORE_URGENT,
        Reason.STILL_BAD,
        Reason.RECOVERED,
    ]


@pytest.mark.parametrize(
    ("recoveries", "severities", "expected"),
    [
        pytest.param(
            1,
            [CRITICAL, OK, OK],
            [Reason.CONFIRMED, Reason.RECOVERING, Reason.RECOVERED],
            id="one success is not enough",
        ),
        pytest.param(
            2,
            [CRITICAL, OK, OK, CRITICAL, OK, OK, OK],
            [
                Reason.CONFIRMED,
                Reason.RECOVERING,
                Reason.RECOVERING,
                Reason.STILL_BAD,
                Reason.RECOVERING,
                Reason.RECOVERING,
                Reason.RECOVERED,
            ],
            id="a failure starts the count anew",
        ),
        pytest.param(
            -1, [CRITICAL, OK], [Reason.CONFIRMED, Reason.RECOVERED], id="negative"
        ),
    ],
)
def test_successes_before_the_recovery(recoveries, severities, expected):
    assert reasons(severities, recoveries=recoveries) == expected


def test_an_incident_that_recovers_slowly_keeps_its_beginning():
    steps = run([CRITICAL, OK, CRITICAL, OK, OK], recoveries=1)

    assert steps[3].state.failing_since == START
    assert steps[4].event is CLOSED
    assert steps[4].state.failing_since is None


def test_flapping_is_told_once_and_ends_with_the_one_recovery():
    steps = run([OK, CRITICAL] * 6 + [OK] * 20)
    told = [(step.event, step.reason) for step in steps if step.event]

    assert told == [
        (OPENED, Reason.CONFIRMED),
        (CLOSED, Reason.RECOVERED),
        (OPENED, Reason.CONFIRMED),
        (CLOSED, Reason.RECOVERED),
        (OPENED, Reason.CONFIRMED),
        (CLOSED, Reason.RECOVERED),
        (FLAPPING, Reason.FLAPPING),
        (CLOSED, Reason.STEADY),
    ]
    assert steps[-1].state.told is OK


def test_flapping_that_ends_in_an_outage_says_so():
    steps = run([OK, CRITICAL] * 6 + [CRITICAL] * 12 + [OK, OK])
    told = [step.event for step in steps if step.event]

    assert told[6:] == [FLAPPING, STEADY, CLOSED]
    assert {step.reason for step in steps[8:12]} == {Reason.FLAPPING}


def test_flapping_hides_nothing_more_urgent():
    steps = run([OK, WARNING] * 5 + [OK, CRITICAL, OK, CRITICAL])
    told = [step.event for step in steps if step.event]

    assert told[6:] == [FLAPPING, WORSENED]


def test_flapping_only_calms_what_would_be_told():
    assert not any(events([OK, CRITICAL] * 30, retries=1))


def test_every_reason_is_given():
    paths = [
        run([OK, OK, WARNING, OK, WARNING, WARNING, CRITICAL, WARNING, OK], retries=1),
        run([CRITICAL, OK, CRITICAL, CRITICAL], agents="abab", asks_another=True),
        run([CRITICAL, CRITICAL, OK, OK], asks_another=True, recoveries=1),
        run([CRITICAL, UNKNOWN], agents="ab", asks_another=True),
        run([OK, CRITICAL] * 6 + [OK] * 20),
        [doubted(TaskState())],
    ]

    of_no_result = {
        Reason.REMINDED,
        Reason.ESCALATED,
        Reason.OK_ELSEWHERE,
        Reason.REMOVED,
    }
    voted = {Reason.TOO_FEW, Reason.TOLD_ELSEWHERE, Reason.QUORUM, Reason.BAD_ELSEWHERE}
    found = {step.reason for path in paths for step in path}
    assert found == set(Reason) - of_no_result - voted


def test_an_incident_began_with_its_first_failure():
    steps = run([OK, CRITICAL, CRITICAL, CRITICAL], retries=2)

    assert steps[-1].event is OPENED
    assert steps[-1].state.failing_since == START + timedelta(minutes=1)
