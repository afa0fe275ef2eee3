"""Incidents that last: who has heard of them when, and the news that they go on."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, func, select, update
from sqlalchemy.orm import Session, aliased

from argos.core.severity import Severity
from argos.server.models import Delivery, DeliveryState, Event, Incident, Task
from argos.server.queries.bulk import id_in


class LastingIncident(NamedTuple):
    """An open incident of which people have heard."""

    id: int
    task_id: int
    domain: str
    severity: Severity
    steps_told: int
    acknowledged_at: datetime | None
    acknowledged_until: datetime | None
    leader_id: int | None
    """The open incident that speaks for it, if one does."""
    told_at: datetime
    last_told_at: datetime

    def is_acknowledged(self, now: datetime) -> bool:
        """Whether somebody looks after it."""
        until = self.acknowledged_until
        return self.acknowledged_at is not None and (until is None or now < until)


def list_lasting(session: Session) -> list[LastingIncident]:
    """Open incidents, with when people first and last heard of each.

    What is kept back was heard by nobody.
    """
    parent = aliased(Incident)
    columns = [
        Incident.id,
        Incident.task_id,
        Task.domain,
        Incident.severity,
        Incident.steps_told,
        Incident.acknowledged_at,
        Incident.acknowledged_until,
        parent.id,
    ]
    rows = session.execute(
        select(
            *columns,
            func.min(Delivery.created_at),
            func.max(Delivery.created_at),
        )
        .join(Task, Task.id == Incident.task_id)
        .join(Event, Event.incident_id == Incident.id)
        .join(Delivery, Delivery.event_id == Event.id)
        .outerjoin(
            parent, and_(parent.id == Incident.parent_id, parent.closed_at.is_(None))
        )
        .where(
            Incident.closed_at.is_(None),
            Task.archived_at.is_(None),
            Delivery.state != DeliveryState.HELD,
        )
        .group_by(*columns)
        .order_by(Incident.task_id)
    )
    return [LastingIncident._make(row) for row in rows]


def note_events(session: Session, *, task_ids: Collection[int]) -> None:
    """Count an event more of each of these tasks, which are locked."""
    session.execute(
        update(Task)
        .where(id_in(session, Task.id, task_ids))
        .values(event_count=Task.event_count + 1)
        .execution_options(synchronize_session=False)
    )


def note_step(session: Session, *, incident_ids: Collection[int], steps: int) -> None:
    """Remember that so many steps of the escalation have been made."""
    session.execute(
        update(Incident)
        .where(id_in(session, Incident.id, incident_ids))
        .values(steps_told=steps)
        .execution_options(synchronize_session=False)
    )
