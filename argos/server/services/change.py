"""A change of a task's published state, from the result that made it to its notices."""

from dataclasses import dataclass

from argos.core.incident import EventKind, Step
from argos.core.severity import Severity
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

    @property
    def incident_severity(self) -> Severity:
        """How bad the incident is, or was until it ended."""
        is_closed = self.kind is EventKind.CLOSED
        return self.task.told_severity if is_closed else self.move.severity
