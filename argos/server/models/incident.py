"""Incidents, their events, and the deliveries of notices."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Enum,
    ForeignKey,
    Index,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from argos.core.cause import Cause
from argos.core.incident import EventKind
from argos.core.severity import Severity, Status
from argos.server.columns import JsonDocument, UtcDateTime, text_enum
from argos.server.models.base import SEVERITY, STATUS, Base, BigId, partial_index
from argos.server.models.task import Task


class DeliveryState(StrEnum):
    """How far a delivery has come."""

    HELD = "held"
    """Kept back by maintenance, a silence or quiet hours; see `held_until`."""
    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"
    """Given up: refused for good, or tried for a day."""


_PLACE = ("opened_at", "id")


class Incident(Base):
    """The time during which a task is not ok."""

    __tablename__ = "incidents"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    task_id: Mapped[int] = mapped_column(
        ForeignKey("tasks.id", ondelete="CASCADE"), index=True
    )
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the first of the failures was measured."""
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    severity: Mapped[Severity] = mapped_column(SEVERITY)
    """The most urgent severity that was told."""
    steps_told: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many steps of the escalation have been made."""
    parent_id: Mapped[int | None] = mapped_column(BigId)
    """The incident that it is gathered under; that one has none itself. When that one is
    deleted with its task, a trigger sets this to NULL."""
    cause: Mapped[Cause | None] = mapped_column(
        Enum(
            Cause,
            native_enum=False,
            create_constraint=False,
            length=20,
            values_callable=lambda causes: [cause.value for cause in causes],
        )
    )
    """What it has in common with its parent."""
    certificate: Mapped[str | None]
    address: Mapped[str | None]
    agent: Mapped[str | None]
    """Traits by which others may be gathered under it; see `argos.core.cause`."""
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_by: Mapped[str | None]
    acknowledged_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """NULL: until the incident ends."""

    task: Mapped[Task] = relationship()
    events: Mapped[list["Event"]] = relationship(
        back_populates="incident", order_by="Event.seq"
    )

    # A task has at most one open incident, whatever two servers do at once.
    __table_args__ = (
        partial_index(
            "uq_incidents_open_task_id", "closed_at IS NULL", "task_id", unique=True
        ),
        # Lists, newest first: of all, and of those that speak for themselves.
        partial_index("ix_incidents_open", "closed_at IS NULL", "severity", *_PLACE),
        partial_index("ix_incidents_closed", "closed_at IS NOT NULL", *_PLACE),
        partial_index(
            "ix_incidents_leading", "parent_id IS NULL AND closed_at IS NULL", *_PLACE
        ),
        partial_index(
            "ix_incidents_led", "parent_id IS NULL AND closed_at IS NOT NULL", *_PLACE
        ),
        # What an incident speaks for, newest first, and whether any of it is open.
        Index("ix_incidents_parent_id_closed_at", "parent_id", "closed_at"),
        Index("ix_incidents_parent_id_opened_at", "parent_id", "opened_at", "id"),
    )


class IncidentComment(Base):
    """What somebody wrote on an incident."""

    __tablename__ = "incident_comments"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    incident_id: Mapped[int] = mapped_column(
        ForeignKey("incidents.id", ondelete="CASCADE"), index=True
    )
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    author: Mapped[str]
    text: Mapped[str]


class Event(Base):
    """A change of a task's published state, numbered per task."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    seq: Mapped[int]
    incident_id: Mapped[int] = mapped_column(
        ForeignKey("incidents.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[EventKind] = mapped_column(text_enum(EventKind, "event_kind"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    severity: Mapped[Severity] = mapped_column(SEVERITY)
    previous_severity: Mapped[Severity] = mapped_column(SEVERITY)
    reason: Mapped[str]
    status: Mapped[Status] = mapped_column(STATUS)
    agent_id: Mapped[str | None]
    facts: Mapped[dict[str, Any]] = mapped_column(JsonDocument, default=dict)

    incident: Mapped[Incident] = relationship(back_populates="events")
    task: Mapped[Task] = relationship()
    deliveries: Mapped[list["Delivery"]] = relationship(back_populates="event")

    __table_args__ = (UniqueConstraint("task_id", "seq"),)


class Delivery(Base):
    """One notice for one recipient: waiting, sent or given up."""

    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    event_id: Mapped[int | None] = mapped_column(
        ForeignKey("events.id", ondelete="CASCADE"), index=True
    )
    notice: Mapped[dict[str, Any] | None] = mapped_column(JsonDocument)
    """The notice itself where it is of no task's event (silent agents)."""
    recipient: Mapped[str]
    state: Mapped[DeliveryState] = mapped_column(
        text_enum(DeliveryState, "delivery_state"), default=DeliveryState.WAITING
    )
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """The next attempt or, while claimed, the claim's end."""
    attempts: Mapped[int] = mapped_column(default=0)
    claimed_by: Mapped[str | None]
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None]
    message_id: Mapped[str] = mapped_column(unique=True)
    """Names it for ever; the same event and recipient give the same."""
    batch_id: Mapped[str | None]
    """The message that carries it, alone or with others, once that is decided.

    The same at every attempt, so that a receiver can drop a repeat.
    """
    held_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When to look again whether it is still kept back; NULL once it is not."""
    held_by: Mapped[str | None]
    """What keeps it back, or did."""
    dropped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When somebody took it off the list of those that were given up."""

    event: Mapped[Event | None] = relationship(back_populates="deliveries")

    __table_args__ = (
        # list_due_recipients
        partial_index("ix_deliveries_waiting", "state = 'waiting'", "due_at"),
        # lanes
        partial_index(
            "ix_deliveries_recipient_waiting", "state = 'waiting'", "recipient", "id"
        ),
        # claim_message, finish_claim
        Index("ix_deliveries_batch_id", "batch_id"),
        # list_held_over, list_held_of
        partial_index("ix_deliveries_held", "held_until IS NOT NULL", "held_until"),
        # The list of those that were given up.
        partial_index("ix_deliveries_dead", "state = 'dead'", "id"),
    )


class DeliveryTarget(Base):
    """What is remembered of a recipient from one message to the next."""

    __tablename__ = "delivery_targets"

    recipient: Mapped[str] = mapped_column(primary_key=True)
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Nothing is sent before: more may come to be told together, or it fails."""
    told_at: Mapped[list[int] | None] = mapped_column(JsonDocument)
    """When it was decided what goes into each message of the last two minutes, in
    microseconds since 1970."""
    was_digest: Mapped[bool] = mapped_column(default=False)
    failures: Mapped[int] = mapped_column(default=0)
    """How many attempts in a row failed."""
    failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None]
    is_given_up: Mapped[bool] = mapped_column(default=False)
    """Others know that it cannot be reached; until it can be again."""
