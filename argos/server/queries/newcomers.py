"""What is open, and who has heard of it: for people who are new in the config."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from argos.core.incident import EventKind
from argos.core.severity import Severity
from argos.server.models import Delivery, DeliveryState, Event, Incident, Task
from argos.server.queries.bulk import id_in, text_in


class OpenMatter(NamedTuple):
    """An open incident, as it was told last."""

    incident_id: int
    task_id: int
    event_id: int
    seq: int
    at: datetime
    severity: Severity


def list_open(session: Session, *, after_id: int, count: int) -> list[tuple[int, int]]:
    """The next open incidents of what is watched, each with its task."""
    rows = session.execute(
        select(Incident.id, Incident.task_id)
        .join(Task, Task.id == Incident.task_id)
        .where(
            Incident.closed_at.is_(None),
            Task.archived_at.is_(None),
            Incident.id > after_id,
        )
        .order_by(Incident.id)
        .limit(count)
    )
    return [(id_, task_id) for id_, task_id in rows]


def list_matters(
    session: Session, *, incident_ids: Collection[int]
) -> list[OpenMatter]:
    """What was told last of those of some incidents that are open."""
    newest = (
        select(func.max(Event.id))
        .where(
            id_in(session, Event.incident_id, incident_ids),
            # It says nothing that people who heard of it do not know.
            Event.kind != EventKind.LASTING,
        )
        .group_by(Event.incident_id)
    )
    rows = session.execute(
        select(
            Incident.id, Event.task_id, Event.id, Event.seq, Event.at, Event.severity
        )
        .join(Incident, Incident.id == Event.incident_id)
        .where(Event.id.in_(newest), Incident.closed_at.is_(None))
        .order_by(Event.id)
    )
    return [OpenMatter._make(row) for row in rows]


def list_addressed(
    session: Session, *, incident_ids: Collection[int]
) -> dict[int, dict[str, bool]]:
    """By incident: for whom there are notices of it; whether one is not kept back.

    What was given up, nobody has heard.
    """
    rows = session.execute(
        select(
            Event.incident_id,
            Delivery.recipient,
            func.count().filter(Delivery.state != DeliveryState.HELD) > 0,
        )
        .join(Delivery, Delivery.event_id == Event.id)
        .where(
            id_in(session, Event.incident_id, incident_ids),
            Delivery.state != DeliveryState.DEAD,
        )
        .group_by(Event.incident_id, Delivery.recipient)
    )
    found: dict[int, dict[str, bool]] = defaultdict(dict)
    for incident_id, recipient, is_told in rows:
        found[incident_id][recipient] = bool(is_told)
    return found


def list_dead(session: Session, *, message_ids: Collection[str]) -> list[int]:
    """Those of some notices that were given up."""
    dead = select(Delivery.id).where(
        Delivery.state == DeliveryState.DEAD,
        text_in(session, Delivery.message_id, message_ids),
    )
    return list(session.scalars(dead))


def list_untold_ends(
    session: Session, *, recipients: Collection[str], since: datetime
) -> list[int]:
    """Given up notices of how it ended, for recipients who heard that it began."""
    earlier, told = aliased(Event), aliased(Delivery)
    heard_of_it = (
        select(told.id)
        .join(earlier, earlier.id == told.event_id)
        .where(
            earlier.incident_id == Event.incident_id,
            told.recipient == Delivery.recipient,
            told.state == DeliveryState.SENT,
        )
    )
    ends = (
        select(Delivery.id)
        .join(Event, Event.id == Delivery.event_id)
        .where(
            Delivery.state == DeliveryState.DEAD,
            Delivery.dropped_at.is_(None),
            Delivery.recipient.in_(recipients),
            Event.kind == EventKind.CLOSED,
            Event.at >= since,
            heard_of_it.exists(),
        )
        .order_by(Delivery.id)
    )
    return list(session.scalars(ends))
