"""From results to incidents: what changed, whether people are told, and why.

`advance` is the one rule. Published state is a pure function of the ordered results
and the task's settings: the same results give the same events.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from argos.core.severity import Severity


class EventKind(StrEnum):
    """A change of a task's published state."""

    OPENED = "opened"
    """The task is not ok, for longer than the retries allow: an incident begins."""
    WORSENED = "worsened"
    """The open incident became more urgent than people were told."""
    CLOSED = "closed"
    """The task is ok again."""


class Reason(StrEnum):
    """Why `advance` published an event, or none; shown in logs and pages."""

    FIRST_OK = "first-ok"
    """The first result of all is fine: nobody needs to hear of it."""
    STILL_OK = "still-ok"
    SOFT_RECOVERY = "soft-recovery"
    """It failed, but recovered before anybody was told."""
    RETRYING = "retrying"
    """It fails, but not yet more often than `retry_before_notification` allows."""
    CONFIRMED = "confirmed"
    """It failed more often in a row than the retries allow."""
    MORE_URGENT = "more-urgent"
    STILL_BAD = "still-bad"
    """People know already; a change for the better is not told until it is ok."""
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class TaskState:
    """What is remembered of a task from one result to the next."""

    told: Severity = Severity.OK
    """The most urgent severity that people were told in the open incident, else ok."""
    contiguous_failures: int = 0
    """How many results in a row were not ok."""
    failing_since: datetime | None = None
    """When the first of these results was measured."""
    has_run: bool = False
    """Whether there was a result before."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One result, as far as incidents are concerned."""

    severity: Severity
    submitted_at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """What one result makes of a task."""

    state: TaskState
    event: EventKind | None
    reason: Reason


def advance(state: TaskState, outcome: Outcome, *, retries: int) -> Step:
    """Apply one result to a task's state.

    `retries` is `retry_before_notification`: so many failures in a row stay untold; any
    success starts the count anew. Every told problem gets exactly one recovery.
    """
    if outcome.severity is Severity.OK:
        return _advance_to_ok(state)
    failing = replace(
        state,
        contiguous_failures=state.contiguous_failures + 1,
        failing_since=state.failing_since or outcome.submitted_at,
        has_run=True,
    )
    if failing.contiguous_failures <= max(retries, 0) and state.told is Severity.OK:
        return Step(failing, None, Reason.RETRYING)
    if state.told is Severity.OK:
        told = replace(failing, told=outcome.severity)
        return Step(told, EventKind.OPENED, Reason.CONFIRMED)
    if outcome.severity.urgency > state.told.urgency:
        told = replace(failing, told=outcome.severity)
        return Step(told, EventKind.WORSENED, Reason.MORE_URGENT)
    return Step(failing, None, Reason.STILL_BAD)


def _advance_to_ok(state: TaskState) -> Step:
    fine = TaskState(has_run=True)
    if state.told is not Severity.OK:
        return Step(fine, EventKind.CLOSED, Reason.RECOVERED)
    if state.contiguous_failures:
        return Step(fine, None, Reason.SOFT_RECOVERY)
    return Step(fine, None, Reason.STILL_OK if state.has_run else Reason.FIRST_OK)
