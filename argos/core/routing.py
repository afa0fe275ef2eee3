"""Who hears of an event."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from argos.core.incident import EventKind
from argos.core.severity import Severity


@dataclass(frozen=True, slots=True)
class RouteRule:
    """A route of the config that matches a website."""

    recipients: Sequence[str]
    severities: Collection[Severity]
    is_exclusive: bool = False
    """Those of `general.alerts` hear nothing of what it routes."""


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """The config's lists of recipients (`mail`, `gotify`, `apprise:GROUP`, `local`)."""

    by_severity: Mapping[Severity, Sequence[str]] = field(default_factory=dict)
    """`general.alerts`."""
    added: Sequence[str] = ()
    """`add_alerts_recipients` of the website."""
    routes: Sequence[RouteRule] = ()
    """Those of the config that match the website."""
    overwritten: Sequence[str] | None = None
    """`overwrite_alerts_recipients`; an empty list mutes the website."""


def recipients(
    event: EventKind,
    severity: Severity,
    rules: RoutingRules,
    *,
    already_told: Iterable[str] = (),
) -> tuple[str, ...]:
    """The recipients of an event, without repeats, in the order of the config.

    A recovery also goes to all that were told of the problem, whatever the list for
    `ok` says: each told problem gets its recovery.
    """
    if rules.overwritten is not None:
        chosen = [*rules.overwritten]
    else:
        routes = [route for route in rules.routes if severity in route.severities]
        is_routed_only = any(route.is_exclusive for route in routes)
        usual = () if is_routed_only else rules.by_severity.get(severity, ())
        routed = (name for route in routes for name in route.recipients)
        chosen = [*usual, *routed, *rules.added]
    if event is EventKind.CLOSED:
        chosen += already_told
    return tuple(dict.fromkeys(chosen))
