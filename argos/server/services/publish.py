"""Turn changes of tasks into incidents, events and deliveries: the outbox."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from argos.channels import expand_recipient
from argos.core.incident import EventKind, Step
from argos.core.routing import RoutingRules, recipients
from argos.core.severity import Severity
from argos.schemas import Config
from argos.server.columns import to_epoch_us
from argos.server.database import Session
from argos.server.queries import deliveries as delivery_queries, incidents as queries
from argos.server.queries.deliveries import NewDelivery
from argos.server.queries.incidents import IncidentMove, NewEvent, NewIncident
from argos.server.queries.results import TaskMove, TaskRow


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a task's published state."""

    task: TaskRow
    """As it was before."""
    move: TaskMove
    step: Step
    agent: str
    facts: str
    """JSON text of the result's context."""

    @property
    def kind(self) -> EventKind:
        """What happened; a change without an event is none."""
        assert self.step.event is not None
        return self.step.event


def publish(
    session: Session, *, changes: Sequence[Change], config: Config, now: datetime
) -> None:
    """Store the events of some changes, and who is to hear of each."""
    if not changes:
        return
    incident_ids = _open_incidents(session, changes)
    event_ids = queries.add_events(
        session,
        events=[_new_event(change, incident_ids[change.task.id]) for change in changes],
    )
    told = queries.list_told_recipients(
        session,
        incident_ids=[
            incident_ids[change.task.id]
            for change in changes
            if change.kind is EventKind.CLOSED
        ],
    )
    by_severity = config.general.alerts.by_severity
    delivery_queries.add_deliveries(
        session,
        deliveries=[
            NewDelivery(
                event_id=event_ids[change.task.id, change.move.event_count],
                notice=None,
                recipient=recipient,
                created_at=now,
                message_id=_message_id(change, recipient),
            )
            for change in changes
            for recipient in _targets(
                recipients(
                    change.kind,
                    change.move.severity,
                    _routing(change.task, by_severity),
                    already_told=told.get(incident_ids[change.task.id], ()),
                ),
                config,
            )
        ],
    )


def _open_incidents(session: Session, changes: Sequence[Change]) -> dict[int, int]:
    """Open, move or close each change's incident; return the ids by task."""
    present = queries.list_open_incidents(
        session, task_ids=[change.task.id for change in changes]
    )
    added = queries.add_incidents(
        session,
        incidents=[
            _new_incident(change) for change in changes if change.task.id not in present
        ],
    )
    ids = added | {task_id: incident.id for task_id, incident in present.items()}
    queries.move_incidents(
        session,
        moves=[
            IncidentMove(
                id=ids[change.task.id],
                severity=_incident_severity(change),
                closed_at=change.move.completed_at
                if change.kind is EventKind.CLOSED
                else None,
            )
            for change in changes
            if change.kind is not EventKind.OPENED
        ],
    )
    return ids


def _new_incident(change: Change) -> NewIncident:
    # A state taken over from 0.10.3 can close an incident that was never stored.
    since = change.move.failing_since or change.task.failing_since
    return NewIncident(
        task_id=change.task.id,
        opened_at=since or change.move.completed_at,
        severity=_incident_severity(change),
    )


def _incident_severity(change: Change) -> Severity:
    is_closed = change.kind is EventKind.CLOSED
    return change.task.told_severity if is_closed else change.move.severity


def _new_event(change: Change, incident_id: int) -> NewEvent:
    return NewEvent(
        task_id=change.task.id,
        seq=change.move.event_count,
        incident_id=incident_id,
        kind=change.kind,
        at=change.move.completed_at,
        severity=change.move.severity,
        previous_severity=change.task.severity,
        reason=change.step.reason.value,
        status=change.move.last_status,
        agent_id=change.agent,
        facts=change.facts,
    )


def _message_id(change: Change, recipient: str) -> str:
    """The same for the same event and recipient, whoever computes it."""
    digest = hashlib.blake2b(recipient.encode(), digest_size=6).hexdigest()
    at = to_epoch_us(change.move.completed_at)
    return f"{change.task.id}.{change.move.event_count}.{at}.{digest}"


def _targets(names: Sequence[str], config: Config) -> list[str]:
    """The single targets of some recipients, each once."""
    return list(
        dict.fromkeys(
            target
            for name in names
            for target in expand_recipient(name, config.general)
        )
    )


def _routing(
    task: TaskRow, by_severity: Mapping[Severity, Sequence[str]]
) -> RoutingRules:
    overwritten = task.overwrite_alerts_recipients
    return RoutingRules(
        by_severity=by_severity,
        added=json.loads(task.add_alerts_recipients or "[]"),
        overwritten=None if overwritten is None else json.loads(overwritten),
    )
