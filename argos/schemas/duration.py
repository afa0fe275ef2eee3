"""Durations in the config, with the quirks on which files of 0.10.3 may rest."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from argos.durations import LooseDuration, format_duration, scan_duration
from argos.errors import DurationError
from argos.schemas.node import BrokenNode, Node, Refused, ScalarNode
from argos.schemas.reader import ReadBy, read_raw
from argos.schemas.reading import Reading
from argos.schemas.wording import show

_NO_TIME = timedelta(0)


def loose_duration(
    node: Node, reading: Reading, *, example: str = "5m"
) -> LooseDuration:
    """Read a text as 0.10.3 does, with a warning where that leaves a part out."""
    value = read_raw(node, reading)
    if not isinstance(value, str):
        raise Refused(
            node,
            f'must be a duration with its unit, as in "{example}", not {show(value)}',
        )
    try:
        loose = scan_duration(value)
    except DurationError as error:
        raise Refused(node, f"cannot be used: {error}") from error
    if loose.ignored and loose.duration:
        sign = "-" if loose.duration < _NO_TIME else ""
        written = sign + format_duration(abs(loose.duration))
        reading.warn(
            node,
            f'{show(value)} is read as "{written}": {show(loose.ignored)} counts as '
            "nothing",
        )
    return loose


def show_value(node: Node) -> str:
    """A scalar as the user wrote it, or nearly so."""
    return show(node.value) if isinstance(node, ScalarNode) else "this"


def _duration(node: Node, reading: Reading) -> timedelta:
    """The reader of durations of which 0 makes no sense."""
    loose = loose_duration(node, reading)
    if loose.duration > _NO_TIME:
        return loose.duration
    if loose.ignored:
        raise Refused(
            node, f"has no {_lacking(loose)} in {show_value(node)}; {_mend(loose)}"
        )
    raise Refused(node, f"must be more than 0, not {show_value(node)}")


def _optional_duration(node: Node, reading: Reading) -> timedelta | None:
    """The reader of durations that 0 leaves out, as in 0.10.3."""
    if not isinstance(node, BrokenNode) and not read_raw(node, reading):
        return None
    loose = loose_duration(node, reading)
    if loose.duration < _NO_TIME:
        raise Refused(node, f"must be more than 0, not {show_value(node)}")
    if not loose.duration and loose.ignored:
        reading.warn(
            node,
            f"{show_value(node)} has no {_lacking(loose)} and counts as nothing; "
            f"{_mend(loose)}",
        )
    return loose.duration or None


def _lacking(loose: LooseDuration) -> str:
    return "unit" if loose.ignored.isdecimal() else "number"


def _mend(loose: LooseDuration) -> str:
    is_short = loose.ignored.isdecimal() and len(loose.ignored) < 6
    number = loose.ignored if is_short else "5"
    return f'write for instance "{number}m" (minutes)'


Duration = Annotated[timedelta, ReadBy(_duration)]
OptionalDuration = Annotated[timedelta | None, ReadBy(_optional_duration)]

MAX_TIMEOUT = timedelta(minutes=10)
Timeout = Annotated[timedelta, Field(gt=_NO_TIME, le=MAX_TIMEOUT), ReadBy(_duration)]
OptionalTimeout = Annotated[
    Annotated[timedelta, Field(gt=_NO_TIME, le=MAX_TIMEOUT)] | None,
    ReadBy(_optional_duration),
]
"""A probe's total deadline; longer ones would hold a lease for too long."""
