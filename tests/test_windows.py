from datetime import UTC, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from argos.errors import WindowError
from argos.windows import (
    DailyHours,
    OneOff,
    Period,
    Recurring,
    read_cron,
    read_rrule,
    read_zone,
)

PARIS = ZoneInfo("Europe/Paris")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
HOUR = timedelta(hours=1)


def wall(text: str) -> datetime:
    """What a clock on a wall shows."""
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: ZoneInfo = PARIS) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def test_a_single_window_opens_and_closes_once():
    window = OneOff(utc("2026-12-24T18:00"), utc("2026-12-26"))

    assert window.period(utc("2026-12-24T17:59")) == Period(False, window.starts_at)
    assert window.period(utc("2026-12-24T18:00")) == Period(True, window.ends_at)
    assert window.period(utc("2026-12-26")) == Period(False, None)


@pytest.mark.parametrize(
    ("now", "is_open", "until"),
    [
        ("2026-11-22T02:59", False, "2026-11-22T03:00"),
        ("2026-11-22T03:00", True, "2026-11-22T05:00"),
        ("2026-11-22T04:59", True, "2026-11-22T05:00"),
        ("2026-11-22T05:00", False, "2026-11-29T03:00"),
    ],
)
def test_cron_windows_open_on_the_walls_clock(now, is_open, until):
    window = Recurring(read_cron("0 3 * * SUN", PARIS), 2 * HOUR)

    assert window.period(local(now)) == Period(is_open, local(until).astimezone(UTC))


def test_a_weekly_window_stays_at_its_hour_when_daylight_saving_ends():
    rule = read_cron("0 4 * * SUN", PARIS)

    before, after = islice(rule.starts(utc("2026-10-12T00:00")), 2)

    assert before == utc("2026-10-18T02:00")
    assert after == utc("2026-10-25T03:00")


@pytest.mark.parametrize("zone", [PARIS, LORD_HOWE], ids=str)
def test_a_calendar_rule_stays_at_its_hour_for_a_year(zone):
    rule = read_rrule("FREQ=DAILY", wall("2026-01-01T12:00"), zone)

    starts = list(islice(rule.starts(utc("2026-01-05T00:00")), 365))

    assert {start.astimezone(zone).time() for start in starts} == {time(12)}
    assert len(set(starts)) == 365


def test_a_monthly_rule_is_that_of_the_calendar():
    rule = read_rrule("RRULE:FREQ=MONTHLY;BYDAY=2TU", wall("2026-01-01T22:00"), PARIS)
    window = Recurring(rule, HOUR)

    assert window.period(local("2026-12-08T22:30")).is_open
    assert not window.period(local("2026-12-15T22:30")).is_open


def test_a_rule_that_has_come_to_its_end_opens_no_more():
    rule = read_rrule("FREQ=DAILY;COUNT=2", wall("2026-01-01T03:00"), PARIS)
    window = Recurring(rule, HOUR)

    assert window.period(local("2026-01-02T03:30")).is_open
    assert window.period(local("2026-01-03T03:30")) == Period(False, None)


def test_windows_that_touch_are_one():
    window = Recurring(read_cron("0 * * * *", PARIS), timedelta(minutes=90))
    daily = Recurring(read_cron("0 0,1 * * *", PARIS), HOUR)

    assert window.period(local("2026-11-25T10:45")).is_open
    assert daily.period(local("2026-11-25T00:30")) == Period(
        True, local("2026-11-25T02:00").astimezone(UTC)
    )


@pytest.mark.parametrize(
    ("rule", "hours", "ever_closes"),
    [
        (read_cron("0 3 * * *", PARIS), 23, True),
        (read_cron("0 3 * * *", PARIS), 24, False),
        (read_cron("0 22 * * MON-FRI", PARIS), 30, True),
        (read_cron("*/5 * * * *", PARIS), 1, False),
        (read_cron("*/15 0-7 * * *", PARIS), 1, True),
        (read_cron("0 0 * 7,8 *", PARIS), 24, True),
        (read_rrule("FREQ=HOURLY", wall("2026-01-01T03:00"), PARIS), 1, False),
        (read_rrule("FREQ=DAILY;COUNT=9", wall("2026-01-01T03:00"), PARIS), 30, True),
        (read_rrule("FREQ=DAILY;COUNT=1", wall("2020-01-01T03:00"), PARIS), 30, True),
    ],
)
def test_a_window_that_begins_again_before_it_ends_may_never_close(
    rule, hours, ever_closes
):
    assert Recurring(rule, hours * HOUR).ever_closes() is ever_closes


@pytest.mark.parametrize(
    ("now", "is_open", "until"),
    [
        ("2026-11-25T21:59", False, "2026-11-25T22:00"),
        ("2026-11-25T22:00", True, "2026-11-26T07:00"),
        ("2026-11-26T00:30", True, "2026-11-26T07:00"),
        ("2026-11-26T07:00", False, "2026-11-26T22:00"),
    ],
)
def test_quiet_hours_go_over_midnight(now, is_open, until):
    hours = DailyHours(time(22), time(7), PARIS)

    assert hours.period(local(now)) == Period(is_open, local(until).astimezone(UTC))


def test_quiet_hours_within_a_day():
    hours = DailyHours(time(12), time(13), PARIS)

    assert hours.period(local("2026-11-25T12:30")).is_open
    assert not hours.period(local("2026-11-25T13:00")).is_open


@given(
    st.datetimes(wall("2026-01-01"), wall("2027-12-31")),
    st.times().map(lambda hour: hour.replace(microsecond=0)),
    st.times().map(lambda hour: hour.replace(microsecond=0)),
)
def test_quiet_hours_always_know_when_they_change(now, begin, end):
    hours = DailyHours(begin, end, PARIS)
    moment = now.replace(tzinfo=UTC)

    period = hours.period(moment)

    assert period.until is not None
    assert moment < period.until <= moment + timedelta(hours=50)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 3 * *", "A cron expression has five parts, as in `0 3 * * SUN`"),
        ("99 3 * * *", "'99 3 * * *' is no cron expression: Bad minute"),
        ("0 0 30 2 *", "'0 0 30 2 *' is no cron expression: Bad day-of-month"),
    ],
)
def test_a_wrong_cron_expression_is_refused(expression, message):
    with pytest.raises(WindowError) as caught:
        read_cron(expression, PARIS)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("BYDAY=SU", "A rule needs its FREQ, as in `FREQ=WEEKLY;BYDAY=SU`"),
        ("FREQ=SECONDLY", "SECONDLY comes too often for a window; use HOURLY at most"),
        ("FREQ=SOMETIMES", "'FREQ=SOMETIMES' is no RRULE: invalid 'FREQ': SOMETIMES"),
        (
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
            "'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30' is no rule for a window:"
            " it never comes",
        ),
        (
            "FREQ=DAILY;UNTIL=20200101T000000",
            "'FREQ=DAILY;UNTIL=20200101T000000' is no rule for a window: it never comes",
        ),
        (
            "FREQ=DAILY\nDTSTART:20260101T000000Z",
            "A rule is one line without DTSTART; write that as `starts`",
        ),
    ],
)
def test_a_wrong_rrule_is_refused(text, message):
    with pytest.raises(WindowError) as caught:
        read_rrule(text, wall("2026-01-01"), PARIS)

    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["Europe/Pari", "", "../etc/passwd", "\0"])
def test_a_wrong_time_zone_is_refused(name):
    with pytest.raises(WindowError, match="is no time zone"):
        read_zone(name)
