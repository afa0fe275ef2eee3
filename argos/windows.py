"""Times that come again: maintenance windows and quiet hours, in their own time zones.

Local times are those of the clock on the wall: "every Sunday at 03:00" stays at 03:00
when daylight saving begins or ends. A length is real time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import islice, pairwise
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from argos.errors import WindowError

LONGEST = timedelta(days=31)
"""A window that comes again may last so long; else it would be no exception."""
_TOO_OFTEN = frozenset({"SECONDLY", "MINUTELY"})
_FREQUENCY = re.compile(r"(?:^|[;:\n])FREQ=(\w+)", re.IGNORECASE)
_MAX_OCCURRENCES = 10_000
_YEAR = timedelta(days=366)
_LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Period:
    """Whether a window is open, and until when that stays so."""

    is_open: bool
    until: datetime | None
    """UTC; None: for ever."""


class Window(Protocol):
    """A time, once or again and again."""

    def period(self, now: datetime) -> Period:
        """What holds at `now` (aware)."""


@dataclass(frozen=True, slots=True)
class OneOff:
    """From one moment to another."""

    starts_at: datetime
    ends_at: datetime

    def period(self, now: datetime) -> Period:
        if now < self.starts_at:
            return Period(False, self.starts_at)
        if now < self.ends_at:
            return Period(True, self.ends_at)
        return Period(False, None)


@dataclass(frozen=True, slots=True)
class Recurring:
    """Begins whenever a rule says so, and lasts for a while."""

    rule: "Rule"
    duration: timedelta

    def period(self, now: datetime) -> Period:
        starts = self.rule.starts(now.astimezone(UTC) - self.duration)
        ends_at: datetime | None = None
        for start in islice(starts, _MAX_OCCURRENCES):
            if start > now and (ends_at is None or start > ends_at):
                is_open = ends_at is not None
                return Period(is_open, ends_at if is_open else start)
            if start + self.duration > now:
                ends_at = max(ends_at or start, start + self.duration)
        return Period(ends_at is not None, ends_at)

    def ever_closes(self) -> bool:
        """Whether it closes within a year after it has opened for the first time.

        One that begins again 10,000 times before it ends is taken for one that does not;
        so is one that closes only for the hour that the clock on the wall is put back.
        """
        starts = islice(self.rule.starts(_LONG_AGO), _MAX_OCCURRENCES)
        opened_at: datetime | None = None
        for count, (start, later) in enumerate(pairwise(starts), start=2):
            opened_at = opened_at or start
            on_the_wall = self._on_the_wall(later) - self._on_the_wall(start)
            if min(later - start, on_the_wall) > self.duration:
                return True
            if later - opened_at > _YEAR or count == _MAX_OCCURRENCES:
                return False
        return True

    def _on_the_wall(self, moment: datetime) -> datetime:
        return moment.astimezone(self.rule.zone).replace(tzinfo=None)


class Rule(Protocol):
    """Says when a window begins."""

    @property
    def zone(self) -> tzinfo:
        """Where the clock on the wall hangs."""

    def starts(self, after: datetime) -> Iterator[datetime]:
        """The beginnings later than `after`, in order, in UTC."""


@dataclass(frozen=True, slots=True)
class CronRule:
    """Beginnings as cron writes them: `0 3 * * SUN`."""

    expression: str
    zone: tzinfo

    def starts(self, after: datetime) -> Iterator[datetime]:
        from cronsim import CronSim

        for local in CronSim(self.expression, after.astimezone(self.zone)):
            yield local.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class CalendarRule:
    """Beginnings as calendars write them (RFC 5545): `FREQ=MONTHLY;BYDAY=2TU`."""

    text: str
    first: datetime
    """Of the clock on the wall, without a zone."""
    zone: tzinfo

    def starts(self, after: datetime) -> Iterator[datetime]:
        # An hour of the wall's clock may come twice, or never: begin a little sooner.
        local = after.astimezone(self.zone).replace(tzinfo=None) - timedelta(hours=3)
        for start in _parse_rrule(self.text, self.first).xafter(local, inc=True):
            moment = start.replace(tzinfo=self.zone).astimezone(UTC)
            if moment > after:
                yield moment


@dataclass(frozen=True, slots=True)
class DailyHours:
    """Every day from one hour of the wall's clock to another, over midnight too."""

    begin: time
    end: time
    zone: tzinfo

    def period(self, now: datetime) -> Period:
        today = now.astimezone(self.zone).date()
        edges = []
        for shift in (-1, 0, 1, 2):
            day = today + timedelta(days=shift)
            last = day + timedelta(days=1) if self.end <= self.begin else day
            edges.append((self._at(day, self.begin), self._at(last, self.end)))
        for start, end in edges:
            if now < start:
                return Period(False, start)
            if now < end:
                return Period(True, end)
        raise AssertionError("a day after tomorrow begins later than now")

    def _at(self, day: date, hour: time) -> datetime:
        return datetime.combine(day, hour, self.zone).astimezone(UTC)


def read_zone(name: str) -> ZoneInfo:
    """The time zone of this name; raises WindowError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:
        raise WindowError(
            f"{name!r} is no time zone; write for instance Europe/Paris or UTC"
        ) from err


def read_cron(expression: str, zone: tzinfo) -> CronRule:
    """A rule from a cron expression; raises WindowError."""
    from cronsim import CronSim, CronSimError

    if len(expression.split()) != 5:
        raise WindowError("A cron expression has five parts, as in `0 3 * * SUN`")
    try:
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=zone)))
    except (CronSimError, StopIteration) as err:
        reason = str(err) or "it never comes"
        raise WindowError(f"{expression!r} is no cron expression: {reason}") from err
    return CronRule(expression, zone)


def read_rrule(text: str, first: datetime, zone: tzinfo) -> CalendarRule:
    """A rule from the text of an RRULE; `first` is a naive local time.

    Raises WindowError.
    """
    text = text.strip().removeprefix("RRULE:")
    found = _FREQUENCY.search(text)
    if found is None:
        raise WindowError("A rule needs its FREQ, as in `FREQ=WEEKLY;BYDAY=SU`")
    if found[1].upper() in _TOO_OFTEN:
        raise WindowError(
            f"{found[1]} comes too often for a window; use HOURLY at most"
        )
    if "\n" in text or "DTSTART" in text.upper():
        raise WindowError("A rule is one line without DTSTART; write that as `starts`")
    try:
        rule = _parse_rrule(text, first)
    except (ValueError, TypeError, KeyError, AttributeError) as err:
        raise WindowError(f"{text!r} is no RRULE: {err}") from err
    if next(rule.xafter(first, inc=True), None) is None:
        raise WindowError(f"{text!r} is no rule for a window: it never comes")
    return CalendarRule(text, first, zone)


@lru_cache(maxsize=1024)
def _parse_rrule(text: str, first: datetime) -> "_Rule":
    from dateutil.rrule import rrulestr

    rule: _Rule = rrulestr(text, dtstart=first, cache=True)
    return rule


class _Rule(Protocol):
    def xafter(self, dt: datetime, *, inc: bool) -> Iterator[datetime]: ...
