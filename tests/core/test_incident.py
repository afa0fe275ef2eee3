from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from argos.core.incident import EventKind, Outcome, Reason, TaskState, advance
from argos.core.severity import Severity

START = datetime(2026, 1, 1, tzinfo=UTC)
OK, WARNING = Severity.OK, Severity.WARNING
CRITICAL, UNKNOWN = Severity.CRITICAL, Severity.UNKNOWN
OPENED, WORSENED = EventKind.OPENED, EventKind.WORSENED
CLOSED = EventKind.CLOSED


def run(severities, *, retries=0):
    """The steps that a sequence of results makes, a minute apart."""
    state, steps = TaskState(), []
    for minute, severity in enumerate(severities):
        outcome = Outcome(severity, START + timedelta(minutes=minute))
        steps.append(advance(state, outcome, retries=retries))
        state = steps[-1].state
    return steps


def events(severities, *, retries=0):
    return [step.event for step in run(severities, retries=retries)]


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


def test_every_reason_is_given():
    reasons = [
        step.reason
        for step in run(
            [OK, OK, WARNING, OK, WARNING, WARNING, CRITICAL, CRITICAL, OK], retries=1
        )
    ]

    assert reasons == [
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
    assert set(reasons) == set(Reason)


def test_an_incident_began_with_its_first_failure():
    steps = run([OK, CRITICAL, CRITICAL, CRITICAL], retries=2)

    assert steps[-1].event is OPENED
    assert steps[-1].state.failing_since == START + timedelta(minutes=1)


severities = st.lists(st.sampled_from(Severity), max_size=60)
retry_counts = st.integers(min_value=0, max_value=5)


@given(severities, retry_counts)
def test_i22_problems_and_recoveries_pair(sequence, retries):
    told = [event for event in events(sequence, retries=retries) if event]

    opened = 0
    for event in told:
        if event is OPENED:
            assert opened == 0
            opened = 1
        else:
            assert opened == 1
            opened = 0 if event is CLOSED else 1


@given(severities, retry_counts)
def test_i20_the_last_told_state_is_what_the_results_demand(sequence, retries):
    steps = run(sequence, retries=retries)

    for index, step in enumerate(steps):
        failures = 0
        for severity in sequence[: index + 1]:
            failures = 0 if severity is OK else failures + 1
        assert step.state.contiguous_failures == failures
        assert (step.state.told is OK) == (failures <= retries)


@given(severities, retry_counts)
def test_i20_the_same_results_give_the_same_events(sequence, retries):
    assert run(sequence, retries=retries) == run(sequence, retries=retries)
