"""When people are left in peace, and who hears of what besides: the config's words."""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, time, tzinfo
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field, InstanceOf
from pydantic.dataclasses import dataclass

from argos.core.escalation import EscalationStep
from argos.core.matching import Matcher
from argos.core.severity import Severity
from argos.errors import WindowError
from argos.schemas.duration import Duration
from argos.schemas.fields import Name, Text
from argos.schemas.node import ListNode, MappingNode, Node, Refused, ScalarNode
from argos.schemas.reader import ReadBy, list_reader, model_reader, read_raw
from argos.schemas.reading import Reading
from argos.schemas.recipient import OwnRecipients
from argos.schemas.wording import show
from argos.windows import (
    LONGEST,
    DailyHours,
    OneOff,
    Recurring,
    Rule,
    Window,
    read_cron,
    read_rrule,
    read_zone,
)

_HOUR = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def _zone(node: Node, reading: Reading) -> ZoneInfo:
    value = read_raw(node, reading)
    if not isinstance(value, str):
        raise Refused(node, "must be a time zone, such as Europe/Paris")
    try:
        return read_zone(value)
    except WindowError as error:
        raise Refused(node, str(error), subject="") from error


def _hour(node: Node, reading: Reading) -> time:
    value = read_raw(node, reading)
    match = _HOUR.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise Refused(
            node, f'must be an hour in quotes, as in "22:00", not {show(value)}'
        )
    return time(int(match[1]), int(match[2]))


def _moment(node: Node, reading: Reading) -> datetime:
    """The reader of moments; without a zone of their own they are local times."""
    value = read_raw(node, reading)
    if isinstance(value, datetime):
        return value
    # A day without an hour is left to be refused: when would it begin?
    text = value.strip() if isinstance(value, str) else ""
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(
            node, f'must be a moment such as "2026-12-24 18:00", not {show(str(value))}'
        ) from error


def _texts(node: Node, reading: Reading) -> tuple[str, ...]:
    """The reader of one text, or a list of them."""
    nodes = node.items if isinstance(node, ListNode) else [node]
    values = [read_raw(item, reading) for item in nodes]
    if not values or not all(isinstance(value, str) and value for value in values):
        raise Refused(node, "must be a text, or a list of texts")
    return tuple(values)


TimeZone = Annotated[ZoneInfo, ReadBy(_zone)]
Hour = Annotated[time, ReadBy(_hour)]
Moment = Annotated[datetime, ReadBy(_moment)]
Texts = Annotated[tuple[str, ...], ReadBy(_texts)]


@dataclass(frozen=True, slots=True)
class Match:
    """Which websites and checks are meant; all that is named must hold."""

    website: Texts = ()
    url: Texts = ()
    group: Texts = ()
    tag: Texts = ()
    check: Texts = ()


def _read_match(node: Node, reading: Reading) -> Matcher:
    match: Match = model_reader(Match)(node, reading)
    matcher = Matcher(match.website, match.url, match.group, match.tag, match.check)
    if isinstance(node, MappingNode) and not node.keys:
        raise Refused(node, "must name something; leave it out to mean all websites")
    return matcher


@dataclass(frozen=True, slots=True)
class _Maintenance:
    """A maintenance window as the user writes it."""

    name: Name | None = None
    match: Annotated[Matcher | None, ReadBy(_read_match)] = None
    starts: Moment | None = None
    ends: Moment | None = None
    cron: Text | None = None
    rrule: Text | None = None
    duration: Duration | None = None
    time_zone: TimeZone | None = None


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A time in which something is worked on: checks go on, nobody is told."""

    window: Annotated[Any, "an argos.windows.Window"]
    name: str | None = None
    matcher: Matcher = Matcher()


_ONE_KIND = (
    "must have either `starts` and `ends`, or `cron` and `duration`, or `rrule`, "
    "`starts` and `duration`"
)


def _read_maintenance(node: Node, reading: Reading) -> Maintenance:
    written: _Maintenance = model_reader(_Maintenance)(node, reading)
    zone = written.time_zone or reading.time_zone
    try:
        window = _window(node, written, zone)
    except WindowError as error:
        place = (
            node.get("cron" if written.cron else "rrule")
            if isinstance(node, MappingNode)
            else None
        )
        raise Refused(place or node, str(error), subject="") from error
    return Maintenance(window, written.name, written.match or Matcher())


def _window(node: Node, written: _Maintenance, zone: tzinfo) -> Window:
    given = {
        name
        for name in ("starts", "ends", "cron", "rrule", "duration")
        if getattr(written, name) is not None
    }
    if given == {"starts", "ends"}:
        assert written.starts is not None
        assert written.ends is not None
        starts, ends = _aware(written.starts, zone), _aware(written.ends, zone)
        if ends <= starts:
            raise Refused(node, "must end after it starts")
        return OneOff(starts, ends)
    if given not in ({"cron", "duration"}, {"rrule", "starts", "duration"}):
        raise Refused(node, _ONE_KIND)
    assert written.duration is not None
    if written.duration > LONGEST:
        raise Refused(node, f"must not last longer than {LONGEST.days} days")
    window = Recurring(_rule(node, written, zone), written.duration)
    if not window.ever_closes():
        raise Refused(
            node,
            "must end before it begins again; as it is, nobody would be told of"
            " anything, ever: shorten its `duration`",
        )
    return window


def _rule(node: Node, written: _Maintenance, zone: tzinfo) -> Rule:
    if written.cron is not None:
        return read_cron(written.cron, zone)
    assert written.rrule is not None
    assert written.starts is not None
    if written.starts.tzinfo is not None:
        raise Refused(
            node, "must have its `starts` without an offset, for it comes again"
        )
    return read_rrule(written.rrule, written.starts, zone)


def _aware(moment: datetime, zone: tzinfo) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


@dataclass(frozen=True, slots=True)
class _QuietHours:
    begin: Hour
    end: Hour
    time_zone: TimeZone | None = None


def _read_quiet_hours(node: Node, reading: Reading) -> DailyHours:
    written: _QuietHours = model_reader(_QuietHours)(node, reading)
    if written.begin == written.end:
        raise Refused(node, "must not end when they begin")
    zone = written.time_zone or reading.time_zone
    return DailyHours(written.begin, written.end, zone)


@dataclass(frozen=True, slots=True)
class _Step:
    after: Duration
    recipients: OwnRecipients


def _read_step(node: Node, reading: Reading) -> EscalationStep:
    step: _Step = model_reader(_Step)(node, reading)
    return EscalationStep(step.after, step.recipients)


def _severities(node: Node, reading: Reading) -> tuple[Severity, ...]:
    names = _texts(node, reading)
    for name in names:
        if name not in set(Severity):
            known = "`ok`, `warning`, `critical` and `unknown`"
            raise Refused(node, f"must be some of {known}, not {show(name)}")
    return tuple(Severity(name) for name in names)


@dataclass(frozen=True, slots=True)
class Route:
    """More recipients for what matches."""

    match: Annotated[Matcher, ReadBy(_read_match)]
    recipients: OwnRecipients
    severities: Annotated[tuple[Severity, ...], ReadBy(_severities)] = tuple(Severity)
    exclusive: Annotated[bool, Field(strict=True)] = False
    """Only these, and not those of `alerts`."""


MaintenanceList = Annotated[
    tuple[Maintenance, ...],
    ReadBy(list_reader(_read_maintenance, "a maintenance window")),
]
QuietHours = Annotated[InstanceOf[DailyHours], ReadBy(_read_quiet_hours)]
Escalation = Annotated[
    tuple[EscalationStep, ...], ReadBy(list_reader(_read_step, "a step"))
]
Routes = Annotated[
    tuple[Route, ...], ReadBy(list_reader(model_reader(Route), "a route"))
]


def active_maintenance(
    windows: Sequence[Maintenance], *, now: datetime
) -> list[Maintenance]:
    """Those of the windows that are open."""
    return [each for each in windows if each.window.period(now).is_open]


def read_time_zone(general: MappingNode, reading: Reading) -> tzinfo:
    """The zone that `general` names; UTC when it names none, or none that there is."""
    node = general.get("time_zone")
    if isinstance(node, ScalarNode) and node.value is not None:
        with suppress(Refused):  # noted when the key itself is read
            return _zone(node, reading)
    return UTC
