"""Delays between attempts."""

import random

import pytest

from argos.agent.backoff import Backoff


def test_delays_double_up_to_a_limit_with_jitter() -> None:
    backoff = Backoff(random.Random(1))

    delays = [backoff.fail(longest_s=10) for _ in range(6)]

    for delay, longest in zip(delays, [1, 2, 4, 8, 10, 10], strict=True):
        assert longest / 2 <= delay <= longest


def test_success_begins_anew() -> None:
    backoff = Backoff(random.Random(1))
    for _ in range(5):
        backoff.fail(longest_s=10)

    backoff.succeed()

    assert backoff.failures == 0
    assert backoff.fail(longest_s=10) <= 1


def test_a_wish_of_the_server_counts_more() -> None:
    assert Backoff(random.Random(1)).fail(longest_s=10, at_least_s=44) == 44


@pytest.mark.parametrize("failures", [100, 10_000])
def test_a_week_of_failures_does_no_harm(failures: int) -> None:
    backoff = Backoff(random.Random(1))

    delays = [backoff.fail(longest_s=10) for _ in range(failures)]

    assert delays[-1] <= 10
