"""Rollups: how often each severity was measured, how long answers took. Pure.

Both are tallies: small numbers with how often each was counted, packed into bytes. Two
tallies joined end to end are the tally of both, so databases can add without unpacking.
A task counts severities, a task group counts slots of response times.
"""

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

from argos.core.schedule import EPOCH
from argos.core.severity import Severity

HOURS = 24
SLOTS = 128
"""More than response times have, so that an hour and a slot make one number."""
GROWTH = 1.2
"""From slot to slot; the middle of a slot is at most 9.6 % off any time in it."""

_LOG_GROWTH = math.log(GROWTH)
_HOUR = timedelta(hours=1)


class Kind(IntEnum):
    """What a result counts as."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3
    """Not measured: our own trouble."""
    MAINTENANCE = 4
    """Measured inside a maintenance window, whatever it was."""

    @classmethod
    def of(cls, severity: Severity, *, in_maintenance: bool = False) -> "Kind":
        """As what a result of this severity counts."""
        return cls.MAINTENANCE if in_maintenance else _KINDS[severity]


_KINDS = {severity: Kind[severity.name] for severity in Severity}


class Counts(NamedTuple):
    """How many results there were of each kind, in the order of `Kind`."""

    ok: int = 0
    warning: int = 0
    critical: int = 0
    unknown: int = 0
    maintenance: int = 0

    @classmethod
    def of(cls, counts: Mapping[int, int]) -> "Counts":
        """The counts by kind."""
        return cls(*(counts.get(kind, 0) for kind in Kind))

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(*map(sum, zip(self, other, strict=True)))

    @property
    def total(self) -> int:
        """All results."""
        return sum(self)

    @property
    def uptime(self) -> float | None:
        """The share of what was up, of what was up or down; None: neither was.

        A warning is up. Maintenance and what could not be measured are neither.
        """
        up = self.ok + self.warning
        return up / (up + self.critical) if up + self.critical else None


# -- tallies


def pack(counts: Mapping[int, int]) -> bytes:
    """The tally of some numbers, each with how often it was counted."""
    packed = bytearray()
    for number, count in sorted(counts.items()):
        if count:
            _pack_integer(packed, number)
            _pack_integer(packed, count)
    return bytes(packed)


def _pack_integer(packed: bytearray, value: int) -> None:
    """Seven bits to a byte, the lowest first; the eighth says that more follow."""
    while value > 0x7F:
        packed.append(value & 0x7F | 0x80)
        value >>= 7
    packed.append(value)


def unpack(tally: bytes) -> dict[int, int]:
    """What a tally counts."""
    counts: dict[int, int] = {}
    integers = _unpack_integers(tally)
    for number, count in zip(integers, integers, strict=True):
        counts[number] = counts.get(number, 0) + count
    return counts


def _unpack_integers(packed: bytes) -> Iterable[int]:
    value = shift = 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        if byte > 0x7F:
            shift += 7
            continue
        yield value
        value = shift = 0


def compact(tally: bytes) -> bytes:
    """The same tally, with each number in it once."""
    return pack(unpack(tally))


@lru_cache(maxsize=1 << 14)  # most tallies of a fleet are alike
def add(tally: bytes, number: int, times: int = 1) -> bytes:
    """The tally with so many more of a number."""
    counts = unpack(tally)
    counts[number] = counts.get(number, 0) + times
    return pack(counts)


def merge(counts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """All counts together."""
    total: dict[int, int] = {}
    for each in counts:
        for number, count in each.items():
            total[number] = total.get(number, 0) + count
    return total


def in_day(tally: bytes, hour: int, *, base: int) -> bytes:
    """An hour's tally as part of its day's, whose numbers tell the hour too."""
    offset = hour % HOURS * base
    return pack({offset + number: count for number, count in unpack(tally).items()})


def hours_of_day(tally: bytes, *, base: int) -> dict[int, dict[int, int]]:
    """What a day's tally counts, by the hour of the day."""
    hours: dict[int, dict[int, int]] = {}
    for number, count in unpack(tally).items():
        hours.setdefault(number // base, {})[number % base] = count
    return hours


# -- hours that are still open


def hour_of(moment: datetime) -> int:
    """The hour of a moment, counted from 1970 on."""
    return (moment - EPOCH) // _HOUR


class OpenHour(NamedTuple):
    """The hour that is being counted, and what was counted in it so far."""

    hour: int | None = None
    tally: bytes = b""


def count_in(
    known: OpenHour, hour: int, number: int, times: int = 1
) -> tuple[OpenHour, tuple[int, bytes] | None]:
    """The open hour after a number was counted, and what belongs to an hour that is over.

    The first number of a later hour closes the open hour.
    """
    if known.hour == hour:
        return OpenHour(hour, add(known.tally, number, times)), None
    counted = add(b"", number, times)
    if known.hour is None:
        return OpenHour(hour, counted), None
    if known.hour < hour:
        return OpenHour(hour, counted), (known.hour, known.tally)
    return known, (hour, counted)


_Key = TypeVar("_Key", bound=Hashable)


@dataclass(slots=True)
class Ledger(Generic[_Key]):
    """Counts by key and hour: the open hours, and what belongs to closed ones."""

    open: dict[_Key, OpenHour]
    """Only what stands in here can be added to an open hour."""
    closed: dict[tuple[_Key, int], bytes] = field(default_factory=dict)

    def count(self, key: _Key, hour: int, number: int, times: int = 1) -> None:
        """Count a number; the first one of a later hour closes the open hour."""
        known = self.open.get(key)
        if known is None:
            self.close(key, hour, add(b"", number, times))
            return
        self.open[key], over = count_in(known, hour, number, times)
        if over is not None:
            self.close(key, *over)

    def close(self, key: _Key, hour: int, tally: bytes) -> None:
        """Count what belongs to an hour that is over."""
        self.closed[key, hour] = self.closed.get((key, hour), b"") + tally


# -- response times


@lru_cache(maxsize=1 << 14)
def slot(total_us: int) -> int:
    """The slot of a response time."""
    return int(math.log(max(total_us, 1)) / _LOG_GROWTH)


def slot_middle_us(number: int) -> int:
    """The time for which a slot stands."""
    return round(math.pow(GROWTH, number + 0.5))


def percentile_us(counts: Mapping[int, int], share: float) -> int | None:
    """The time within which that share of the answers came; None without any."""
    rank = math.ceil(share * sum(counts.values()))
    seen = 0
    for number in sorted(counts):
        seen += counts[number]
        if seen >= rank:
            return slot_middle_us(number)
    return None


# -- runs that never took place


def missed_within(
    begin: datetime, end: datetime, missed: int, *, since: datetime, until: datetime
) -> int:
    """How many of a gap's missed runs were planned in [since, until).

    A gap's runs lie evenly in it: the first at its begin, the end is the run after.
    """
    if not missed or end <= begin:
        return 0
    period = (end - begin) / missed

    def before(moment: datetime) -> int:
        return min(missed, max(0, -((begin - moment) // period)))

    return before(until) - before(since)
