"""Who hears again of a problem that lasts: reminders, and steps to others. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """Whom to tell when nobody has acknowledged a problem for so long."""

    after: timedelta
    """From the moment at which people were told first."""
    recipients: Sequence[str]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the telling of a problem has come."""

    told_at: datetime
    """When people were told first."""
    last_told_at: datetime
    """When they heard of it last: the problem, its worsening, a reminder."""
    steps_done: int = 0
    is_acknowledged: bool = False
    """Somebody looks after it: nobody else is woken, nobody reminded."""


def due_steps(
    steps: Sequence[EscalationStep], progress: Progress, *, now: datetime
) -> Sequence[EscalationStep]:
    """The steps that have come and were not made yet, in their order."""
    if progress.is_acknowledged:
        return ()
    elapsed = now - progress.told_at
    ordered = sorted(steps, key=lambda step: step.after)
    return [step for step in ordered[progress.steps_done :] if step.after <= elapsed]


def is_reminder_due(
    interval: timedelta | None, progress: Progress, *, now: datetime
) -> bool:
    """Whether to say once more that the problem lasts."""
    if interval is None or progress.is_acknowledged:
        return False
    return now - progress.last_told_at >= interval
