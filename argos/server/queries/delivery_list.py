"""Deliveries and their recipients, as pages, programs and the command line list them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from argos.channels import recipient_name
from argos.core.incident import EventKind
from argos.core.severity import Severity
from argos.server.models import (
    Delivery,
    DeliveryState,
    DeliveryTarget,
    Event,
    Task,
)
from argos.server.queries.bulk import id_in
from argos.server.queries.selection import fetch


class DeliveryFilter(StrEnum):
    """Which deliveries a list shows."""

    ALL = "all"
    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"
    """Given up, and neither retried nor dropped."""


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One notice to one recipient: how far it came, and why not further."""

    id: int
    recipient: str
    """As the config names it."""
    state: DeliveryState
    created_at: datetime
    due_at: datetime
    sent_at: datetime | None
    dropped_at: datetime | None
    attempts: int
    last_error: str | None
    held_by: str | None
    """What keeps it back, or did."""
    message: str | None
    """The id of the message that carries it."""
    notice: Mapping[str, Any] | None
    """Of what is about no task."""
    kind: EventKind | None
    severity: Severity | None
    incident_id: int | None
    url: str | None
    ip_version: str | None
    check: str | None


@dataclass(frozen=True, slots=True)
class TargetLine:
    """How it stands with one recipient."""

    recipient: str
    """As deliveries name it: with the target, which is for nobody's eyes."""
    next_at: datetime | None
    failures: int
    failed_at: datetime | None
    sent_at: datetime | None
    last_error: str | None


def list_deliveries(
    session: Session,
    *,
    shown: DeliveryFilter,
    before: int | None = None,
    limit: int = 50,
) -> Sequence[DeliveryLine]:
    """Deliveries, newest first; one more than asked for tells of a next page."""
    statement = (
        select(
            Delivery.id,
            Delivery.recipient,
            Delivery.state,
            Delivery.created_at,
            Delivery.due_at,
            Delivery.sent_at,
            Delivery.dropped_at,
            Delivery.attempts,
            Delivery.last_error,
            Delivery.held_by,
            Delivery.batch_id,
            Delivery.notice,
            Event.kind,
            Event.severity,
            Event.incident_id,
            Task.url,
            Task.ip_version,
            Task.check,
        )
        .outerjoin(Event, Event.id == Delivery.event_id)
        .outerjoin(Task, Task.id == Event.task_id)
        .order_by(Delivery.id.desc())
        .limit(limit + 1)
    )
    if shown is DeliveryFilter.DEAD:
        statement = statement.where(_is_dead())
    elif shown is not DeliveryFilter.ALL:
        statement = statement.where(Delivery.state == DeliveryState(shown.value))
    if before is not None:
        statement = statement.where(Delivery.id < before)
    return [
        DeliveryLine(id_, recipient_name(recipient), *values)
        for id_, recipient, *values in fetch(session, statement)
    ]


def _is_dead() -> ColumnElement[bool]:
    return (Delivery.state == DeliveryState.DEAD) & Delivery.dropped_at.is_(None)


def count_dead(session: Session) -> int:
    """How many were given up."""
    return session.scalar(select(func.count()).where(_is_dead())) or 0


def list_targets(session: Session) -> Sequence[TargetLine]:
    """All recipients that were ever told anything."""
    rows = session.execute(
        select(
            DeliveryTarget.recipient,
            DeliveryTarget.next_at,
            DeliveryTarget.failures,
            DeliveryTarget.failed_at,
            DeliveryTarget.sent_at,
            DeliveryTarget.last_error,
        ).order_by(DeliveryTarget.recipient)
    )
    return [TargetLine(*row) for row in rows]


def retry_dead(
    session: Session, *, now: datetime, ids: Collection[int] | None = None
) -> int:
    """Let what was given up be tried for another day; the number of deliveries."""
    condition = _is_dead()
    if ids is not None:
        condition &= id_in(session, Delivery.id, ids)
    recipients = session.scalars(
        update(Delivery)
        .where(condition)
        .values(
            state=DeliveryState.WAITING,
            created_at=now,
            due_at=now,
            attempts=0,
            batch_id=None,
        )
        .returning(Delivery.recipient)
        .execution_options(synchronize_session=False)
    ).all()
    session.execute(
        update(DeliveryTarget)
        .where(DeliveryTarget.recipient.in_(set(recipients)))
        .values(next_at=None, failures=0)
        .execution_options(synchronize_session=False)
    )
    return len(recipients)


def drop_dead(
    session: Session, *, now: datetime, ids: Collection[int] | None = None
) -> int:
    """Take what was given up off the list; the number of deliveries."""
    condition = _is_dead()
    if ids is not None:
        condition &= id_in(session, Delivery.id, ids)
    dropped = session.scalars(
        update(Delivery)
        .where(condition)
        .values(dropped_at=now)
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    return len(dropped.all())
