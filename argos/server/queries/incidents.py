"""Incidents and their events, and who was told of them."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import BigInteger, select, text
from sqlalchemy.orm import Session

from argos.core.incident import EventKind
from argos.core.severity import Severity, Status
from argos.server.models import Delivery, DeliveryState, Event, Incident
from argos.server.queries.bulk import RowSource, id_in


class NewIncident(NamedTuple):
    """An incident that begins."""

    task_id: int
    opened_at: datetime
    severity: Severity
    parent_id: int | None
    cause: str | None
    certificate: str | None
    address: str | None
    agent: str | None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_until: datetime | None = None


class IncidentMove(NamedTuple):
    """What an event makes of its incident."""

    id: int
    severity: Severity
    closed_at: datetime | None


class NewEvent(NamedTuple):
    """An event to be stored."""

    task_id: int
    seq: int
    incident_id: int
    kind: EventKind
    at: datetime
    severity: Severity
    previous_severity: Severity
    reason: str
    status: Status
    agent_id: str | None
    facts: str
    """JSON text, without NUL and lone surrogates."""


_NEW_INCIDENTS = RowSource({
    "task_id": "bigint",
    "opened_at": "timestamptz",
    "severity": "severity",
    "parent_id": "bigint",
    "cause": "text",
    "certificate": "text",
    "address": "text",
    "agent": "text",
    "acknowledged_by": "text",
    "acknowledged_at": "timestamptz",
    "acknowledged_until": "timestamptz",
})
_INCIDENT_MOVES = RowSource({
    "id": "bigint",
    "severity": "severity",
    "closed_at": "timestamptz",
})
_NEW_EVENTS = RowSource({
    "task_id": "bigint",
    "seq": "integer",
    "incident_id": "bigint",
    "kind": "event_kind",
    "at": "timestamptz",
    "severity": "severity",
    "previous_severity": "severity",
    "reason": "text",
    "status": "status",
    "agent_id": "text",
    "facts": "jsonb",
})

_ADD_INCIDENTS = """
INSERT INTO incidents ({columns}) SELECT {columns} FROM {rows} WHERE true
RETURNING id, task_id
"""
_MOVE_INCIDENTS = """
UPDATE incidents SET severity = u.severity, closed_at = u.closed_at
FROM {rows} WHERE incidents.id = u.id
"""
_EVENT_COLUMNS = ", ".join(NewEvent._fields)
_ADD_EVENTS = f"""
INSERT INTO events ({_EVENT_COLUMNS}) SELECT {_EVENT_COLUMNS} FROM {{rows}} WHERE true
RETURNING id, task_id, seq
"""  # noqa: S608  # names of columns


class OpenIncident(NamedTuple):
    """The incident that a task has now."""

    id: int
    severity: Severity
    parent_id: int | None


def list_open_incidents(
    session: Session, *, task_ids: Collection[int]
) -> dict[int, OpenIncident]:
    """The open incidents of these tasks, by task."""
    if not task_ids:
        return {}
    rows = session.execute(
        select(
            Incident.task_id, Incident.id, Incident.severity, Incident.parent_id
        ).where(
            id_in(session, Incident.task_id, task_ids), Incident.closed_at.is_(None)
        )
    )
    return {row[0]: OpenIncident._make(row[1:]) for row in rows}


def list_told_recipients(
    session: Session, *, incident_ids: Collection[int]
) -> dict[int, list[str]]:
    """Who was, or will be, told of these incidents, in the order of the telling."""
    told: dict[int, list[str]] = defaultdict(list)
    if not incident_ids:
        return told
    rows = session.execute(
        select(Event.incident_id, Delivery.recipient)
        .join(Delivery, Delivery.event_id == Event.id)
        .where(
            id_in(session, Event.incident_id, incident_ids),
            Delivery.state != DeliveryState.HELD,
        )
        .order_by(Delivery.id)
    )
    for row in rows:
        if row.recipient not in told[row.incident_id]:
            told[row.incident_id].append(row.recipient)
    return told


def add_incidents(
    session: Session, *, incidents: Sequence[NewIncident]
) -> dict[int, int]:
    """Open incidents; return their ids by task."""
    if not incidents:
        return {}
    columns = ", ".join(NewIncident._fields)
    rows_sql = _NEW_INCIDENTS.sql(session)
    statement = text(_ADD_INCIDENTS.format(columns=columns, rows=rows_sql))
    rows = session.execute(
        statement.columns(id=BigInteger, task_id=BigInteger),
        _NEW_INCIDENTS.parameters(session, incidents),
    )
    return {row.task_id: row.id for row in rows}


def move_incidents(session: Session, *, moves: Sequence[IncidentMove]) -> None:
    """Make incidents more urgent, or close them."""
    if moves:
        statement = text(_MOVE_INCIDENTS.format(rows=_INCIDENT_MOVES.sql(session)))
        session.execute(statement, _INCIDENT_MOVES.parameters(session, moves))


def add_events(
    session: Session, *, events: Sequence[NewEvent]
) -> dict[tuple[int, int], int]:
    """Store events; return their ids by task and number."""
    if not events:
        return {}
    statement = text(_ADD_EVENTS.format(rows=_NEW_EVENTS.sql(session)))
    rows = session.execute(
        statement.columns(id=BigInteger, task_id=BigInteger),
        _NEW_EVENTS.parameters(session, events),
    )
    return {(row.task_id, row.seq): row.id for row in rows}
