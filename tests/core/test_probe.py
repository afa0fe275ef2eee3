import pytest
from hypothesis import given, strategies as st

from argos.core.probe import Timings, is_time_trustworthy

microseconds = st.integers(min_value=0, max_value=2**31 - 1)


@pytest.mark.parametrize(
    ("total_ms", "error_ms", "is_trustworthy"),
    [
        (1, 0, True),
        (1, 10, True),
        (199, 10.001, False),
        (200, 10.001, False),
        (200.02, 10.001, True),
        (30_000, 1_500, True),
        (30_000, 1_500.001, False),
        (0, 10.001, False),
    ],
)
def test_a_time_may_be_wrong_by_10_ms_or_by_a_20th_of_itself(
    total_ms: float, error_ms: float, is_trustworthy: bool
):
    timings = Timings(
        total_us=round(total_ms * 1000), timing_error_us=round(error_ms * 1000)
    )

    assert timings.is_trustworthy is is_trustworthy


def test_a_time_that_was_not_taken_is_not_trusted():
    assert not Timings().is_trustworthy


def test_a_time_whose_error_nobody_told_is_trusted():
    assert is_time_trustworthy(1000, None)


@given(microseconds, microseconds, microseconds)
def test_more_error_never_makes_a_time_better(total: int, one: int, other: int):
    less, more = sorted((one, other))

    assert is_time_trustworthy(total, less) >= is_time_trustworthy(total, more)
