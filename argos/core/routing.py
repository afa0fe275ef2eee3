"""Who hears of an event."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from argos.core.incident import EventKind
from argos.core.severity import Severity


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """The config's lists of recipients (`mail`, `gotify`, `apprise:GROUP`, `local`)."""

    by_severity: Mapping[Severity, Sequence[str]] = field(default_factory=dict)
    """`general.alerts`."""
    added: Sequence[str] = ()
    """`add_alerts_recipients` of the website."""
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
        chosen = [*rules.by_severity.get(severity, ()), *rules.added]
    if event is EventKind.CLOSED:
        chosen += already_told
    return tuple(dict.fromkeys(chosen))
