"""A change of a task's published state, from the result that made it to its notices."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from argos.core.incident import EventKind, Step
from argos.core.severity import Severity, Status
from argos.server.queries.results import TaskMove, TaskRow


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a task's published state."""

    task: TaskRow
    """As it was before."""
    move: TaskMove
    step: Step
    agent: str | None
    """Who saw it; None: nobody did just now."""
    facts: str
    """JSON text of the result's context."""

    @property
    def kind(self) -> EventKind:
        """What happened; a change without an event is none."""
        assert self.step.event is not None
        return self.step.event

    def at(self, moment: datetime, *, severity: Severity) -> "Change":
        """The same as people are told of it: when, and how bad it is from then on."""
        move = self.move._replace(completed_at=moment, severity=severity)
        return replace(self, move=move)

    @property
    def incident_severity(self) -> Severity:
        """How bad the incident is, or was until it ended."""
        is_closed = self.kind is EventKind.CLOSED
        return self.task.told_severity if is_closed else self.move.severity


def change_without_result(
    task: TaskRow,
    step: Step,
    severity: Severity,
    *,
    facts: Mapping[str, Any] = MappingProxyType({}),
    agent: str | None = None,
) -> Change:
    """What is told without a new result, as of the task's last one."""
    assert task.completed_at is not None
    move = TaskMove(
        id=task.id,
        severity=severity,
        severity_since=task.severity_since or task.completed_at,
        completed_at=task.completed_at,
        last_status=task.last_status or Status.ERROR,
        contiguous_failures=step.state.contiguous_failures,
        failing_since=step.state.failing_since,
        told_severity=step.state.told,
        already_retried=task.recheck_delay is not None,
        applied_lease_no=task.applied_lease_no,
        event_count=task.event_count + 1,
        open_hour=task.open_hour,
        open_counts=task.open_counts,
    )
    return Change(task, move, step, agent, json.dumps(dict(facts)))
