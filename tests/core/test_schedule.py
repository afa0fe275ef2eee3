import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from argos.core import schedule

NOW = datetime(2026, 3, 29, 0, 59, 30, tzinfo=UTC)
KEY = bytes(range(16))

moments = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001  # hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001  # as above
    timezones=st.just(UTC),
)
periods = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30))
keys = st.binary(min_size=16, max_size=16)


def test_the_grid_does_not_move_when_a_run_is_late():
    period = timedelta(minutes=5)
    first = schedule.next_run(NOW, frequency=period, key=KEY)

    on_time = schedule.next_run(first, frequency=period, key=KEY)
    late = schedule.next_run(
        first + timedelta(minutes=4, seconds=59), frequency=period, key=KEY
    )

    assert on_time == late == first + period


@given(moments, periods, keys)
def test_the_next_run_is_later_and_at_most_one_period_away(after, frequency, key):
    period = schedule.effective_period(frequency)

    upcoming = schedule.next_run(after, frequency=frequency, key=key)

    assert after < upcoming <= after + period
    offset = schedule.grid_offset(key, period)
    assert (upcoming - schedule.EPOCH - offset) % period == timedelta(0)


def test_i06_a_thousand_groups_spread_evenly_over_one_period():
    period = timedelta(minutes=1)
    keys_ = [hashlib.blake2b(b"%d" % n).digest() for n in range(1000)]

    offsets = sorted(schedule.grid_offset(key, period) for key in keys_)

    per_second = [0] * 60
    for offset in offsets:
        per_second[offset // timedelta(seconds=1)] += 1
    assert max(per_second) < 40


def test_a_frequency_of_zero_runs_every_second():
    upcoming = schedule.next_run(NOW, frequency=timedelta(0), key=KEY)

    assert NOW < upcoming <= NOW + schedule.SHORTEST_PERIOD


def test_a_recheck_comes_before_the_grid():
    upcoming = schedule.next_run(
        NOW,
        frequency=timedelta(hours=1),
        key=KEY,
        recheck_delay=timedelta(seconds=10),
    )

    assert upcoming == NOW + timedelta(seconds=10)


def test_a_recheck_is_never_later_than_the_grid():
    on_grid = schedule.next_run(NOW, frequency=timedelta(minutes=1), key=KEY)

    upcoming = schedule.next_run(
        NOW,
        frequency=timedelta(minutes=1),
        key=KEY,
        recheck_delay=timedelta(minutes=2),
    )

    assert upcoming == on_grid


@pytest.mark.parametrize(
    ("late_minutes", "expected"),
    [
        pytest.param(1, 0, id="the very next run"),
        pytest.param(2, 1, id="one run was skipped"),
        pytest.param(61, 60, id="an hour was skipped"),
    ],
)
def test_missed_runs_are_counted(late_minutes, expected):
    upcoming = NOW + timedelta(minutes=late_minutes)

    assert schedule.missed_runs(NOW, upcoming, timedelta(minutes=1)) == expected


def test_a_group_that_never_ran_missed_nothing():
    assert schedule.missed_runs(None, NOW, timedelta(minutes=1)) == 0


def test_i04_a_lease_outlasts_its_probe():
    timeout = timedelta(seconds=30)

    assert schedule.lease_interval(timeout) == timedelta(seconds=45)


@given(keys)
def test_every_key_has_a_shard(key):
    assert 0 <= schedule.shard(key) < schedule.SHARDS


@given(st.floats(min_value=-12, max_value=14), periods, keys)
def test_i35_the_zone_of_a_moment_changes_no_spacing(hours, frequency, key):
    elsewhere = NOW.astimezone(timezone(timedelta(minutes=int(hours * 60))))

    assert schedule.next_run(
        elsewhere, frequency=frequency, key=key
    ) == schedule.next_run(NOW, frequency=frequency, key=key)
