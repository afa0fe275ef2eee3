import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from argos.checks import FinalizeRules, ResponseTime, Verdict
from argos.core.probe import Timings
from argos.core.severity import Severity, Status
from argos.errors import ExpectedError
from tests.checks.outcomes import evaluate, make_response

# A busy machine is no reason to fail.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


OK = (Status.SUCCESS, Severity.OK)
SLOW = (Status.FAILURE, Severity.WARNING)
TOO_SLOW = (Status.FAILURE, Severity.CRITICAL)
UNKNOWN = (Status.ERROR, Severity.UNKNOWN)
BOTH = '{"phase": "total", "warning": 500, "critical": 2000}'


def finalize(facts, expected=BOTH, status=Status.ON_CHECK):
    return ResponseTime.finalize(status, facts, FinalizeRules(), expected=expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2000, '{"phase": "total", "critical": 2000}'),
        (0.5, '{"phase": "total", "critical": 0.5}'),
        ("2s", '{"phase": "total", "critical": 2000}'),
        (" 1.5 s ", '{"phase": "total", "critical": 1500}'),
        ("800ms", '{"phase": "total", "critical": 800}'),
        ("0.0625ms", '{"phase": "total", "critical": 0.062}'),
        ({"warning": 500}, '{"phase": "total", "warning": 500}'),
        ({"critical": "2s", "warning": "500 ms"}, BOTH),
        (
            {"critical": 90, "phase": "first-byte"},
            '{"phase": "first-byte", "critical": 90}',
        ),
        (3_600_000, '{"phase": "total", "critical": 3600000}'),
        (
            {"warning": 5, "critical": 5},
            '{"phase": "total", "warning": 5, "critical": 5}',
        ),
    ],
    ids=repr,
)
def test_limits_are_encoded_in_one_form(value, expected):
    assert ResponseTime.encode_expected(value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "A limit is between 0 and an hour"),
        (-1, "A limit is between 0 and an hour"),
        (3_600_001, "A limit is between 0 and an hour"),
        (10**400, "A limit is between 0 and an hour"),
        (float("nan"), "A limit is between 0 and an hour"),
        (float("inf"), "A limit is between 0 and an hour"),
        (True, "A limit is between 0 and an hour"),
        (None, "A limit is between 0 and an hour"),
        ([500], "A limit is between 0 and an hour"),
        ({"warning": None}, "A limit is between 0 and an hour"),
        ("2000", "“2000” is not a limit"),
        ("2m", "“2m” is not a limit"),
        ("fast", "“fast” is not a limit"),
        ({}, "There is no limit"),
        ({"phase": "dns"}, "There is no limit"),
        ({"warn": 5}, "There is no warn here"),
        ({"warning": 5, 3: 1}, "There is no 3 here"),
        ({"warning": 5, "critical": 4}, "warning is above the limit critical"),
        (
            {"warning": 5, "phase": "body"},
            "The phase is one of dns, connect, tls, first",
        ),
        ({"warning": 5, "phase": ["dns"]}, "The phase is one of dns, connect, tls, fi"),
    ],
    ids=repr,
)
def test_other_values_are_refused(value, message):
    with pytest.raises(ExpectedError, match=message):
        ResponseTime.encode_expected(value)


TIMINGS = Timings(1_000, 2_000, 3_000, 4_000, 5_000, 15_000_123)


@pytest.mark.parametrize(
    ("phase", "elapsed_ms"),
    [
        ("dns", 1),
        ("connect", 2),
        ("tls", 3),
        ("first-byte", 4),
        ("transfer", 5),
        ("total", 15000.123),
    ],
)
def test_the_agent_reports_the_phase(phase, elapsed_ms):
    expected = f'{{"phase": "{phase}", "warning": 1}}'

    assert evaluate("response-time", expected, make_response(timings=TIMINGS)) == (
        Verdict(Status.ON_CHECK, {"phase": phase, "elapsed_ms": elapsed_ms})
    )


def test_the_agent_reports_how_far_it_may_be_off():
    timings = Timings(total_us=2_100_000, timing_error_us=150_250)

    verdict = evaluate("response-time", BOTH, make_response(timings=timings))

    assert verdict.facts == {
        "phase": "total",
        "elapsed_ms": 2100.0,
        "error_ms": 150.25,
    }
    assert finalize(verdict.facts) == SLOW


def test_a_phase_that_did_not_happen_is_an_error():
    verdict = evaluate(
        "response-time",
        '{"phase": "tls", "warning": 1}',
        make_response(timings=Timings(total_us=5)),
    )

    assert verdict.status is Status.ERROR
    assert verdict.facts["error_message"] == "The probe did not measure the phase tls."


@pytest.mark.parametrize(
    ("expected", "elapsed_ms", "final"),
    [
        (BOTH, 0, OK),
        (BOTH, 500, OK),
        (BOTH, 500.001, SLOW),
        (BOTH, 2000, SLOW),
        (BOTH, 2000.001, TOO_SLOW),
        ('{"phase": "total", "warning": 500}', 10**9, SLOW),
        ('{"phase": "total", "critical": 2000}', 2000, OK),
        ('{"phase": "total", "critical": 2000}', 2001, TOO_SLOW),
    ],
)
def test_the_server_judges_by_the_limits(expected, elapsed_ms, final):
    assert finalize({"elapsed_ms": elapsed_ms}, expected) == final


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, BOTH),
        ({"elapsed_ms": None}, BOTH),
        ({"elapsed_ms": "600"}, BOTH),
        ({"elapsed_ms": True}, BOTH),
        ({"elapsed_ms": float("nan")}, BOTH),
        ({"elapsed_ms": float("inf")}, BOTH),
        ({"elapsed_ms": 10**400}, BOTH),
        ({"elapsed_ms": 600, "error_ms": "a"}, BOTH),
        ({"elapsed_ms": 600}, "600"),
        ({"elapsed_ms": 600}, "{}"),
        ({"elapsed_ms": 600}, '{"phase": "total", "warning": "600"}'),
        ({"elapsed_ms": 600}, '{"warning": 600}'),
        ({"elapsed_ms": 600}, "nonsense"),
    ],
    ids=repr,
)
def test_what_cannot_be_judged_is_unknown(facts, expected):
    assert finalize(facts, expected) == UNKNOWN


@pytest.mark.parametrize(
    ("status", "final"),
    [(Status.SUCCESS, OK), (Status.FAILURE, TOO_SLOW), (Status.ERROR, UNKNOWN)],
)
def test_a_status_that_an_agent_decided_stays(status, final):
    assert finalize({"elapsed_ms": 600}, status=status) == final


@patient
@given(
    limits=st.lists(st.integers(1, 3_600_000), min_size=2, max_size=2).map(sorted),
    times=st.lists(st.floats(0, 1e7), min_size=2, max_size=2).map(sorted),
)
def test_slower_is_never_better(limits, times):
    warning, critical = limits
    expected = ResponseTime.encode_expected({"warning": warning, "critical": critical})

    ranks = [finalize({"elapsed_ms": time}, expected)[1].rank for time in times]

    assert ranks == sorted(ranks)
