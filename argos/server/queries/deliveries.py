"""Deliveries: the notices that wait, were sent, or were given up."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Integer, bindparam, select, text, update
from sqlalchemy.orm import Session

from argos.core.incident import EventKind
from argos.core.probe import IPVersion
from argos.core.severity import Severity, Status
from argos.server.columns import UtcDateTime
from argos.server.models import Delivery, DeliveryState, Event, Incident, Task
from argos.server.queries.bulk import RowSource, is_sqlite


class NewDelivery(NamedTuple):
    """A notice for one recipient, to be sent."""

    event_id: int | None
    notice: str | None
    """JSON text of the notice, where it is of no task's event."""
    recipient: str
    created_at: datetime
    message_id: str


class Claim(NamedTuple):
    """One attempt at a delivery, which nobody else makes for the time being."""

    id: int
    attempts: int
    """The fence: counts this one too."""


class ClaimedDelivery(NamedTuple):
    """What there is to say in a claimed delivery, and to whom."""

    id: int
    recipient: str
    message_id: str
    created_at: datetime
    notice: dict[str, Any] | None
    """The notice itself; else there is an event, of a task, in an incident."""
    kind: EventKind | None
    at: datetime | None
    severity: Severity | None
    previous_severity: Severity | None
    status: Status | None
    facts: dict[str, Any] | None
    opened_at: datetime | None
    task_id: int | None
    url: str | None
    ip_version: IPVersion | None
    check: str | None


class Finish(NamedTuple):
    """How an attempt ended."""

    state: DeliveryState
    due_at: datetime
    sent_at: datetime | None = None
    last_error: str | None = None


_NEW_DELIVERIES = RowSource({
    "event_id": "bigint",
    "notice": "jsonb",
    "recipient": "text",
    "created_at": "timestamptz",
    "message_id": "text",
})
_ADD_DELIVERIES = """
INSERT INTO deliveries
  (event_id, notice, recipient, state, created_at, due_at, attempts, message_id)
SELECT event_id, notice, recipient, 'waiting', created_at, created_at, 0, message_id
FROM {rows} WHERE true
ON CONFLICT (message_id) DO NOTHING
"""
# What a recipient hears of a task, it hears in order: while an older delivery waits,
# newer ones of the same task are not due.
_CLAIM = """
UPDATE deliveries
SET claimed_by = :holder, due_at = :until, attempts = attempts + 1
WHERE id = (
  SELECT d.id FROM deliveries d LEFT JOIN events e ON e.id = d.event_id
  WHERE d.state = 'waiting' AND d.due_at <= :now AND d.recipient = :recipient
  AND NOT EXISTS (
    SELECT 1 FROM deliveries p LEFT JOIN events pe ON pe.id = p.event_id
    WHERE p.state = 'waiting' AND p.recipient = d.recipient AND p.id < d.id
    AND coalesce(pe.task_id, 0) = coalesce(e.task_id, 0))
  ORDER BY d.due_at, d.id LIMIT 1 {lock})
RETURNING id, attempts
"""


def add_deliveries(session: Session, *, deliveries: Sequence[NewDelivery]) -> None:
    """Store deliveries; each message once."""
    if deliveries:
        statement = text(_ADD_DELIVERIES.format(rows=_NEW_DELIVERIES.sql(session)))
        session.execute(statement, _NEW_DELIVERIES.parameters(session, deliveries))


def list_due_recipients(session: Session, *, now: datetime) -> list[str]:
    """The recipients for whom something is due, longest waiting first."""
    rows = session.scalars(
        select(Delivery.recipient)
        .where(Delivery.state == DeliveryState.WAITING, Delivery.due_at <= now)
        .group_by(Delivery.recipient)
    )
    return list(rows)


def claim_delivery(
    session: Session, *, recipient: str, holder: str, now: datetime, until: datetime
) -> Claim | None:
    """Claim the delivery for a recipient that is due longest; None: there is none.

    The claim ends by itself at `until`, in case its holder dies.
    """
    lock = "" if is_sqlite(session) else "FOR UPDATE OF d SKIP LOCKED"
    statement = (
        text(_CLAIM.format(lock=lock))
        .bindparams(
            bindparam("now", type_=UtcDateTime), bindparam("until", type_=UtcDateTime)
        )
        .columns(id=BigInteger, attempts=Integer)
    )
    row = session.execute(
        statement,
        {"recipient": recipient, "holder": holder, "now": now, "until": until},
    ).one_or_none()
    return None if row is None else Claim(row.id, row.attempts)


def get_claimed(session: Session, *, claim: Claim) -> ClaimedDelivery | None:
    """What a claimed delivery says; None when it is gone with its task."""
    row = session.execute(
        select(
            Delivery.id,
            Delivery.recipient,
            Delivery.message_id,
            Delivery.created_at,
            Delivery.notice,
            Event.kind,
            Event.at,
            Event.severity,
            Event.previous_severity,
            Event.status,
            Event.facts,
            Incident.opened_at,
            Task.id,
            Task.url,
            Task.ip_version,
            Task.check,
        )
        .outerjoin(Event, Event.id == Delivery.event_id)
        .outerjoin(Incident, Incident.id == Event.incident_id)
        .outerjoin(Task, Task.id == Event.task_id)
        .where(Delivery.id == claim.id)
    ).one_or_none()
    return None if row is None else ClaimedDelivery(*row)


def finish_claim(session: Session, *, claim: Claim, holder: str, end: Finish) -> bool:
    """Write down how an attempt ended; False when the claim had gone to another."""
    changed = session.execute(
        update(Delivery)
        .where(
            Delivery.id == claim.id,
            Delivery.state == DeliveryState.WAITING,
            Delivery.claimed_by == holder,
            Delivery.attempts == claim.attempts,
        )
        .values(
            state=end.state,
            due_at=end.due_at,
            sent_at=end.sent_at,
            last_error=end.last_error,
            claimed_by=None,
        )
        .returning(Delivery.id)
    )
    return changed.first() is not None
