"""Durations as people write them ("5m", "1h 30m", "7d") to timedelta and back."""

import re
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from argos.errors import DurationError

_MICROSECOND = timedelta(microseconds=1)
_DAY_US = 86_400_000_000
_YEAR_US = 366 * _DAY_US
_SCALES_US = {
    "c": 100 * _YEAR_US,
    "D": 10 * _YEAR_US,
    "y": _YEAR_US,
    "M": 61 * _DAY_US // 2,
    "w": 7 * _DAY_US,
    "d": _DAY_US,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
}
"""As 0.10.3 counts: a month has 30.5 days, a year twelve months, thus 366 days."""
_WORDS = {
    "century": "c",
    "centuries": "c",
    "decade": "D",
    "decades": "D",
    "year": "y",
    "years": "y",
    "month": "M",
    "months": "M",
    "week": "w",
    "weeks": "w",
    "day": "d",
    "days": "d",
    "hour": "h",
    "hours": "h",
    "minute": "m",
    "minutes": "m",
    "second": "s",
    "seconds": "s",
    "millisecond": "ms",
    "milliseconds": "ms",
}
_UNITS_US = _SCALES_US | {word: _SCALES_US[scale] for word, scale in _WORDS.items()}
_LIKELY_MEANT = {
    "min": "m",
    "mins": "m",
    "sec": "s",
    "secs": "s",
    "hr": "h",
    "hrs": "h",
    "mon": "M",
    "mo": "M",
    "mos": "M",
    "wk": "w",
    "wks": "w",
    "yr": "y",
    "yrs": "y",
    "msec": "ms",
    "msecs": "ms",
}
_TOKEN = re.compile(
    r"(?P<gap>[ \t,]*)"
    r"(?:(?P<number>(?:(?<![^ \t,])[+-])?\d+(?:_\d+)*(?:\.\d+)?"
    r"|(?<![^ \t,])[+-]?\.\d+)"
    r"|(?P<word>[A-Za-z]+))"
)
_WHOLE_NUMBER = re.compile(r"\d+(?:_\d+)*")
_MAX_SHOWN = 60
_MAX_DIGITS = 30
_FORMATTED = ("d", "h", "m", "s")


class LooseDuration(NamedTuple):
    """What 0.10.3 makes of a text."""

    duration: timedelta
    ignored: str
    """A last number without a unit, or a last word: it counts as nothing."""


class _Token(NamedTuple):
    text: str
    is_number: bool
    is_glued: bool
    """Nothing stands between it and the token before."""


def parse_duration(text: str) -> timedelta:
    """Read a duration; every number needs its unit.

    Raises DurationError.
    """
    loose = scan_duration(text)
    if loose.ignored:
        lacking = "its unit" if loose.ignored[-1].isdecimal() else "a number"
        raise _error(text, f'"{_cut(loose.ignored)}" has no meaning without {lacking}')
    if not any(character.isdecimal() for character in text):
        raise _error(text, "it has no number")
    return loose.duration


@lru_cache(maxsize=4096)
def scan_duration(text: str) -> LooseDuration:
    """Read a duration as 0.10.3 does, which drops a last token that stands alone.

    Raises DurationError on what 0.10.3 refuses, and on what it takes for 0 though it
    looks like something else, such as "5:30".
    """
    tokens = [token for token in _split(text) if token.text != "and"]
    total_us = Decimal(0)
    for number, unit in zip(tokens[::2], tokens[1::2], strict=False):
        total_us += _term(text, number, unit)
    ignored = tokens[-1].text if len(tokens) % 2 else ""
    try:
        return LooseDuration(round(total_us) * _MICROSECOND, ignored)
    except OverflowError as error:
        raise _error(text, "it is too long") from error


def format_duration(duration: timedelta) -> str:
    """Write a duration so that `parse_duration` reads the same: "1h30m", "7d", "1.5ms".

    Raises ValueError on a negative one: no setting of Argos has a use for it.
    """
    rest = duration // _MICROSECOND
    if rest < 0:
        raise ValueError(f"{duration} is negative")
    parts = []
    for scale in _FORMATTED:
        count, rest = divmod(rest, _SCALES_US[scale])
        if count:
            parts.append(f"{count}{scale}")
    if rest:
        parts.append(f"{Decimal(rest) / 1000:f}ms")
    return "".join(parts) or "0s"


def _split(text: str) -> list[_Token]:
    tokens = []
    rest = text.rstrip(" \t,")
    position = 0
    while position < len(rest):
        match = _TOKEN.match(rest, position)
        if match is None:
            raise _error(text, f"{_cut(rest[position:].lstrip())!r} cannot be read")
        number = match["number"]
        word = number or match["word"]
        tokens.append(_Token(word, number is not None, not match["gap"]))
        position = match.end()
    return tokens


def _term(text: str, number: _Token, unit: _Token) -> Decimal:
    """The length of one number with its unit, in microseconds."""
    if not number.is_number:
        raise _error(text, f'a number must stand before "{_cut(number.text)}"')
    if unit.text not in _UNITS_US:
        raise _error(text, _unit_fault(unit))
    if not unit.is_glued and not _WHOLE_NUMBER.fullmatch(number.text):
        raise _error(text, f'"{number.text}{unit.text}" must be written without a gap')
    if len(number.text) > _MAX_DIGITS:
        raise _error(text, "the number has too many digits")
    return Decimal(number.text) * _UNITS_US[unit.text]


def _unit_fault(unit: _Token) -> str:
    if unit.is_number:
        return f'a unit must stand before "{_cut(unit.text)}"'
    meant = _LIKELY_MEANT.get(unit.text.lower()) or unit.text.lower()
    hint = f' (did you mean "{meant}"?)' if meant in _UNITS_US else ""
    return f'"{_cut(unit.text)}" is not a unit{hint}'


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _error(text: str, reason: str) -> DurationError:
    return DurationError(
        f'{_cut(text)!r} is not a duration: {reason}; write for instance "5m" (minutes), '
        '"1h30m" or "7d"'
    )
