"""Durations: what 0.10.3 reads, what we read more strictly, and back to text."""

from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from argos.durations import format_duration, parse_duration, scan_duration
from argos.errors import DurationError

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

READ = {
    "5m": 5 * MINUTE,
    "1h30m": 1.5 * HOUR,
    "2d 3 hours": 51 * HOUR,
    "1 day and 3 hours": 27 * HOUR,
    "1day,2hours": 26 * HOUR,
    "5 minutes, and 3 seconds": timedelta(minutes=5, seconds=3),
    "1.5h": 1.5 * HOUR,
    ".5h": 0.5 * HOUR,
    "5m .5h": 35 * MINUTE,
    "500ms": timedelta(milliseconds=500),
    "1 millisecond": timedelta(milliseconds=1),
    "1s": timedelta(seconds=1),
    "5 m 3 s": timedelta(minutes=5, seconds=3),
    "5\tm": 5 * MINUTE,
    "  5m  ": 5 * MINUTE,
    "+5m": 5 * MINUTE,
    "-5m": -5 * MINUTE,
    "1h -30m": 30 * MINUTE,
    "1h30 m": 90 * MINUTE,
    "and 5m": 5 * MINUTE,
    "5 and m": 5 * MINUTE,
    "1_000s": timedelta(seconds=1000),
    "00005m": 5 * MINUTE,
    "٣m": 3 * MINUTE,
    "1٣m": 13 * MINUTE,
    "1w": 7 * DAY,
    "2 weeks": 14 * DAY,
    "1M": 30.5 * DAY,
    "2 months": 61 * DAY,
    "1y": 366 * DAY,
    "1years": 366 * DAY,
    "1 decade": 3660 * DAY,
    "1D": 3660 * DAY,
    "1 century": 36_600 * DAY,
    "2centuries": 73_200 * DAY,
    "1c": 36_600 * DAY,
    "0m": timedelta(0),
}
"""Each as 0.10.3 reads it, but for its rounding."""

DROPPED = {
    "5": (timedelta(0), "5"),
    "h": (timedelta(0), "h"),
    "foo": (timedelta(0), "foo"),
    "1h 30": (HOUR, "30"),
    "1h30": (HOUR, "30"),
    "5m foo": (5 * MINUTE, "foo"),
    "5m5": (5 * MINUTE, "5"),
    "5m 3": (5 * MINUTE, "3"),
    "5 d ays": (5 * DAY, "ays"),
}

REFUSED = {
    "5min": '\'5min\' is not a duration: "min" is not a unit (did you mean "m"?)',
    "1 sec": '\'1 sec\' is not a duration: "sec" is not a unit (did you mean "s"?)',
    "1H": '\'1H\' is not a duration: "H" is not a unit (did you mean "h"?)',
    "1Y": '\'1Y\' is not a duration: "Y" is not a unit (did you mean "y"?)',
    "5 dayss": "'5 dayss' is not a duration: \"dayss\" is not a unit",
    "1.5 h": "'1.5 h' is not a duration: \"1.5h\" must be written without a gap",
    "-5 m": "'-5 m' is not a duration: \"-5m\" must be written without a gap",
    "5 5m": "'5 5m' is not a duration: a unit must stand before \"5\"",
    "foo 5m": "'foo 5m' is not a duration: a number must stand before \"foo\"",
    "m5": "'m5' is not a duration: a number must stand before \"m\"",
    "5m;3s": "'5m;3s' is not a duration: ';3s' cannot be read",
    "5:30": "'5:30' is not a duration: ':30' cannot be read",
    "1..5h": "'1..5h' is not a duration: '..5h' cannot be read",
    "5m.5": "'5m.5' is not a duration: '.5' cannot be read",
    "--5m": "'--5m' is not a duration: '--5m' cannot be read",
    "5_m": "'5_m' is not a duration: '_m' cannot be read",
    "½h": "'½h' is not a duration: '½h' cannot be read",
    "5\nm": "'5\\nm' is not a duration: 'm' cannot be read",
    "1" * 31 + "m": f"'{'1' * 31}m' is not a duration: the number has too many digits",
    "999999999y": "'999999999y' is not a duration: it is too long",
}


@pytest.mark.parametrize(("text", "duration"), READ.items(), ids=repr)
def test_a_text_is_read_as_in_the_ancestor(text, duration):
    assert parse_duration(text) == duration
    assert scan_duration(text) == (duration, "")


@pytest.mark.parametrize(("text", "read"), DROPPED.items(), ids=repr)
def test_what_the_ancestor_drops_is_told(text, read):
    assert scan_duration(text) == read


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1h 30", '"30" has no meaning without its unit'),
        ("5m foo", '"foo" has no meaning without a number'),
        ("", "it has no number"),
        (" , ", "it has no number"),
        ("and", "it has no number"),
    ],
    ids=repr,
)
def test_nothing_is_dropped_where_the_ancestor_does_not_matter(text, reason):
    with pytest.raises(DurationError) as caught:
        parse_duration(text)

    assert str(caught.value) == (
        f"{text!r} is not a duration: {reason}; write for instance "
        '"5m" (minutes), "1h30m" or "7d"'
    )


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=repr)
def test_a_refusal_says_what_is_wrong(text, message):
    with pytest.raises(DurationError) as caught:
        scan_duration(text)

    assert str(caught.value).split("; write")[0] == message


def test_a_long_text_is_cut_in_the_message():
    with pytest.raises(DurationError) as caught:
        parse_duration("x" * 1000)

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0s"),
        (5 * MINUTE, "5m"),
        (1.5 * HOUR, "1h30m"),
        (7 * DAY, "7d"),
        (timedelta(seconds=90), "1m30s"),
        (timedelta(microseconds=1500), "1.5ms"),
        (timedelta(days=400, microseconds=1), "400d0.001ms"),
    ],
)
def test_a_duration_is_written_briefly(duration, text):
    assert format_duration(duration) == text


def test_a_negative_duration_is_not_written():
    with pytest.raises(ValueError, match="is negative"):
        format_duration(-MINUTE)


@given(st.timedeltas(min_value=timedelta(0)))
def test_a_written_duration_reads_as_the_same(duration):
    assert parse_duration(format_duration(duration)) == duration


@given(st.text())
def test_any_text_is_a_duration_or_refused(text):
    try:
        duration, ignored = scan_duration(text)
    except DurationError:
        return

    assert isinstance(duration, timedelta)
    assert ignored in text
