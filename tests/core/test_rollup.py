"""Rollups: tallies and their laws, open hours, percentiles, gaps."""

import math
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from argos.core import rollup
from argos.core.rollup import Counts, Kind, Ledger, OpenHour
from argos.core.schedule import EPOCH
from argos.core.severity import Severity

HOUR = timedelta(hours=1)
counts = st.dictionaries(st.integers(0, 2**20), st.integers(1, 2**40), max_size=8)
tallies = counts.map(rollup.pack)


# -- tallies


@given(counts)
def test_a_tally_gives_back_what_went_in(numbers):
    assert rollup.unpack(rollup.pack(numbers)) == numbers


@given(tallies, tallies, tallies)
def test_joining_is_adding_and_associative(one, two, three):
    total = Counter(rollup.unpack(one))
    total.update(rollup.unpack(two))
    total.update(rollup.unpack(three))

    joined = one + two + three

    assert rollup.unpack(joined) == total
    assert rollup.compact(joined) == rollup.compact(one + rollup.compact(two + three))
    assert rollup.merge(map(rollup.unpack, (one, two, three))) == total


@given(tallies, st.integers(0, 2**20))
def test_adding_one_is_joining_one(tally, number):
    added = rollup.add(tally, number)

    assert rollup.unpack(added) == rollup.unpack(tally + rollup.pack({number: 1}))


@given(st.dictionaries(st.integers(0, 23), tallies, max_size=4))
def test_a_day_gives_back_its_hours(hours):
    base = 2**20 + 1
    day = b"".join(
        rollup.in_day(tally, 24 * 20_000 + hour, base=base)
        for hour, tally in hours.items()
    )

    assert rollup.hours_of_day(day, base=base) == {
        hour: rollup.unpack(tally) for hour, tally in hours.items() if tally
    }


def test_a_day_that_is_fine_takes_two_bytes_an_hour():
    day = b"".join(
        rollup.in_day(rollup.pack({Kind.OK: 12}), hour, base=len(Kind))
        for hour in range(24)
    )

    assert len(day) == 48


def test_nothing_counted_leaves_no_trace():
    assert rollup.pack({3: 0}) == b""


# -- counts


def test_maintenance_counts_as_nothing_else():
    assert [Kind.of(severity).name.lower() for severity in Severity] == list(Severity)
    assert Kind.of(Severity.CRITICAL, in_maintenance=True) is Kind.MAINTENANCE


@pytest.mark.parametrize(
    ("found", "uptime"),
    [
        (Counts(), None),
        (Counts(unknown=3, maintenance=2), None),
        (Counts(ok=3, critical=1), 0.75),
        (Counts(warning=4), 1.0),
        (Counts(ok=1, critical=1, unknown=8, maintenance=5), 0.5),
    ],
)
def test_uptime_is_the_share_of_up_in_what_was_up_or_down(found, uptime):
    assert found.uptime == uptime


def test_counts_add_up():
    both = Counts.of({Kind.OK: 2}).plus(Counts(ok=1, maintenance=4))

    assert both == Counts(ok=3, maintenance=4)
    assert both.total == 7


# -- open hours


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4), st.integers(0, 3))))
def test_every_count_is_in_the_open_hour_or_in_a_closed_one(entries):
    ledger = Ledger({"a": OpenHour()})

    for key, hour, number in entries:
        ledger.count(key, hour, number)

    found: Counter[tuple[str, int | None, int]] = Counter()
    for (key, hour), tally in ledger.closed.items():
        for number, count in rollup.unpack(tally).items():
            found[key, hour, number] += count
    for key, open_ in ledger.open.items():
        for number, count in rollup.unpack(open_.tally).items():
            found[key, open_.hour, number] += count
    assert found == Counter(entries)
    newest = max((hour for key, hour, _ in entries if key == "a"), default=None)
    assert ledger.open["a"].hour == newest


def test_hours_are_counted_from_1970_on():
    assert rollup.hour_of(EPOCH + 5 * HOUR - timedelta(microseconds=1)) == 4
    assert rollup.hour_of(EPOCH + 5 * HOUR) == 5


# -- response times


@given(st.lists(st.integers(1, 2**31 - 1), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_at_most_a_tenth_off(times, share):
    exact = sorted(times)[math.ceil(share * len(times)) - 1]

    found = rollup.percentile_us(Counter(map(rollup.slot, times)), share)

    assert abs(found - exact) <= max(0.1 * exact, 1)


def test_slots_of_all_times_fit_beside_the_hour():
    assert rollup.slot(0) == 0
    assert rollup.slot(2**31 - 1) < rollup.SLOTS


def test_no_answers_have_no_percentile():
    assert rollup.percentile_us({}, 0.5) is None


# -- gaps


@pytest.mark.parametrize(
    ("since", "until", "missed"),
    [
        (0, 10, 4),
        (0, 1, 0),
        (0, 2, 1),
        (1, 2, 1),
        (2, 3, 1),
        (3, 9, 2),
        (5, 9, 0),
    ],
)
def test_missed_runs_count_where_they_were_planned(since, until, missed):
    begin, end = EPOCH + HOUR, EPOCH + 5 * HOUR

    assert missed == rollup.missed_within(
        begin, end, 4, since=EPOCH + since * HOUR, until=EPOCH + until * HOUR
    )


@given(st.integers(0, 50), st.lists(st.integers(0, 400), max_size=5))
def test_parts_of_a_gap_add_up_to_it(missed, cuts):
    moments = [EPOCH, *(EPOCH + cut * HOUR for cut in sorted(cuts)), EPOCH + 400 * HOUR]
    begin = EPOCH + HOUR / 3
    end = begin + missed * timedelta(minutes=7)

    parts = [
        rollup.missed_within(begin, end, missed, since=since, until=until)
        for since, until in pairwise(moments)
    ]

    assert sum(parts) == missed
    assert min(parts) >= 0
