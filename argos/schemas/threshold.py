"""From how many days before a certificate's end on it is how bad."""

from datetime import timedelta
from typing import Annotated

from argos.core.severity import Severity
from argos.schemas.duration import loose_duration, show_value
from argos.schemas.fields import first_counts_only
from argos.schemas.node import MappingNode, Node, Refused, ScalarNode
from argos.schemas.reader import ReadBy, list_reader, read_raw, wrong_shape
from argos.schemas.reading import Reading
from argos.schemas.wording import did_you_mean, listed, show

_DAY = timedelta(days=1)
_BAD = tuple(severity for severity in Severity if severity is not Severity.OK)


def _threshold(node: Node, reading: Reading) -> tuple[int, Severity]:
    if not isinstance(node, MappingNode) or not node.keys:
        raise wrong_shape(node, 'a duration and a severity, such as `"5d": warning`')
    for key in node.keys[1:]:
        reading.warn(key, first_counts_only(node.keys[0], key))
    return _days(node.keys[0], reading), _severity(node.values[0], reading)


def _days(key: ScalarNode, reading: Reading) -> int:
    loose = loose_duration(key, reading, example="5d")
    days, rest = divmod(loose.duration, _DAY)
    if rest or days < 0:
        raise Refused(key, f"must have whole days, not {show_value(key)}")
    if loose.ignored and not days:
        reading.warn(key, f'{show_value(key)} has no unit and counts as "0d"')
    return days


def _severity(node: Node, reading: Reading) -> Severity:
    value = read_raw(node, reading)
    if value == "error":
        reading.warn(node, "The severity `error` is taken for `critical`; write that")
        return Severity.CRITICAL
    if value not in _BAD:
        hint = did_you_mean(str(value), _BAD)
        raise Refused(
            node,
            f"must have one of the severities {listed(_BAD)}, not {show(value)}{hint}",
        )
    return Severity(value)


_read_list = list_reader(_threshold, "a threshold")


def _thresholds(node: Node, reading: Reading) -> tuple[tuple[int, Severity], ...]:
    return tuple(sorted(_read_list(node, reading)))


Thresholds = Annotated[tuple[tuple[int, Severity], ...], ReadBy(_thresholds)]
"""Days before a certificate's end, ascending, each with the severity from there on."""
