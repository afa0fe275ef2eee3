"""Deliveries: the notices that wait, were sent, or were given up."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Select,
    bindparam,
    case,
    cast,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session, aliased

from argos.core.cause import Cause, Common, Traits, common_of
from argos.core.incident import EventKind
from argos.core.probe import IPVersion
from argos.core.severity import Severity, Status
from argos.server.models import (
    Delivery,
    DeliveryState,
    DeliveryTarget,
    Event,
    Incident,
    Task,
    Website,
)
from argos.server.queries.bulk import RowSource, id_in, is_sqlite


class NewDelivery(NamedTuple):
    """A notice for one recipient, to be sent."""

    event_id: int | None
    notice: str | None
    """JSON text of the notice, where it is of no task's event."""
    recipient: str
    created_at: datetime
    message_id: str
    held_until: datetime | None = None
    """When to look again whether it is still kept back; None: it is not."""
    held_by: str | None = None
    due_at: datetime | None = None
    """From when on it may be sent; None: from the moment it was created."""


class Claim(NamedTuple):
    """One attempt at a message, which nobody else makes for the time being."""

    batch_id: str
    recipient: str
    holder: str
    """The fence: nobody makes two attempts for one recipient at a time."""
    until: datetime
    attempts: int
    """Counts this one too."""


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
    agent_id: str | None
    opened_at: datetime | None
    incident_id: int | None
    task_id: int | None
    url: str | None
    ip_version: IPVersion | None
    check: str | None
    leader_id: int | None = None
    """The incident that speaks for its own; that one itself, where none does."""
    cause: Cause | None = None
    """Why it does; None: the incident speaks for itself."""
    leader_domain: str | None = None
    certificate: str | None = None
    address: str | None = None
    agent: str | None = None
    worst: Severity | None = None
    """The most urgent that was told of its incident."""
    name: str | None = None
    """What people call the website."""

    @property
    def common(self) -> Common | None:
        """What its incident has in common with others, where another one speaks for it."""
        if self.cause is None:
            return None
        traits = Traits(self.leader_domain, self.certificate, self.address, self.agent)
        return common_of(self.cause, traits)


class Finish(NamedTuple):
    """How an attempt ended."""

    state: DeliveryState
    due_at: datetime
    sent_at: datetime | None = None
    last_error: str | None = None
    is_open: bool = False
    """The deliveries may go into other messages at the next attempt."""
    dead_before: datetime | None = None
    """What was created before is given up."""


_NEW_DELIVERIES = RowSource({
    "event_id": "bigint",
    "notice": "jsonb",
    "recipient": "text",
    "created_at": "timestamptz",
    "message_id": "text",
    "held_until": "timestamptz",
    "held_by": "text",
    "due_at": "timestamptz",
})
_ADD_DELIVERIES = """
INSERT INTO deliveries
  (event_id, notice, recipient, state, created_at, due_at, attempts, message_id,
   held_until, held_by)
SELECT event_id, notice, recipient, {state}, created_at, coalesce(due_at, created_at), 0,
   message_id, held_until, held_by
FROM {rows} WHERE true
ON CONFLICT (message_id) DO NOTHING
"""
_TABLE: Any = Delivery.__table__
_STATE = _TABLE.c.state.type
_ADD_TARGET = text("""
INSERT INTO delivery_targets (recipient, was_digest, failures, is_given_up)
VALUES (:recipient, false, 0, false)
ON CONFLICT (recipient) DO NOTHING
""")
# Built once, as are those below: building takes longer than what the database has to do.
_DUE_RECIPIENTS = (
    select(Delivery.recipient)
    .outerjoin(DeliveryTarget, DeliveryTarget.recipient == Delivery.recipient)
    .where(
        Delivery.state == DeliveryState.WAITING,
        Delivery.due_at <= bindparam("now"),
        or_(
            DeliveryTarget.next_at.is_(None), DeliveryTarget.next_at <= bindparam("now")
        ),
    )
    .group_by(Delivery.recipient)
    .order_by(func.min(Delivery.due_at))
)
_LOCK_TARGET = (
    select(DeliveryTarget)
    .where(DeliveryTarget.recipient == bindparam("of"))
    .with_for_update()
)
_CLAIM = (
    update(_TABLE)
    .where(
        _TABLE.c.batch_id == bindparam("message"),
        _TABLE.c.recipient == bindparam("of"),
        _TABLE.c.state == DeliveryState.WAITING,
    )
    .values(
        claimed_by=bindparam("holder"),
        due_at=bindparam("until"),
        attempts=_TABLE.c.attempts + 1,
    )
    .returning(_TABLE.c.attempts)
)


def add_deliveries(session: Session, *, deliveries: Sequence[NewDelivery]) -> None:
    """Store deliveries; each message once."""
    if deliveries:
        state = "CASE WHEN held_until IS NULL THEN 'waiting' ELSE 'held' END"
        if not is_sqlite(session):
            state = f"CAST({state} AS delivery_state)"
        rows = _NEW_DELIVERIES.sql(session)
        statement = text(_ADD_DELIVERIES.format(rows=rows, state=state))
        session.execute(statement, _NEW_DELIVERIES.parameters(session, deliveries))


def list_due_recipients(session: Session, *, now: datetime) -> list[str]:
    """The recipients for whom something is due, and who neither wait nor rest."""
    return list(session.scalars(_DUE_RECIPIENTS, {"now": now}))


def lock_target(session: Session, *, recipient: str) -> DeliveryTarget:
    """What is remembered of a recipient; nobody else changes it in the meantime."""
    session.execute(_ADD_TARGET, {"recipient": recipient})
    return session.scalars(_LOCK_TARGET, {"of": recipient}).one()


def put_into_message(session: Session, *, ids: Collection[int], batch_id: str) -> None:
    """Write down what a message tells, before it is sent."""
    session.execute(
        update(Delivery)
        .where(id_in(session, Delivery.id, ids))
        .values(batch_id=batch_id)
        .execution_options(synchronize_session=False)
    )


def claim_message(
    session: Session, *, batch_id: str, recipient: str, holder: str, until: datetime
) -> Claim:
    """Claim a message; the recipient's row is locked, so that nobody else does.

    The claim ends by itself at `until`, in case its holder dies.
    """
    parameters = {
        "message": batch_id, "of": recipient, "holder": holder, "until": until
    }  # fmt: skip
    attempts = session.scalars(_CLAIM, parameters)
    return Claim(batch_id, recipient, holder, until, max(attempts, default=0))


def list_claimed(session: Session, *, claim: Claim) -> list[ClaimedDelivery]:
    """What a claimed message tells, in order; less when a task is gone."""
    parameters = {"message": claim.batch_id, "of": claim.recipient}
    rows = session.execute(_claimed(), parameters)
    return [ClaimedDelivery(*row) for row in rows]


@cache
def _claimed() -> Select[Any]:
    leader, its_task = aliased(Incident), aliased(Task)
    return (
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
            Event.agent_id,
            Incident.opened_at,
            Incident.id,
            Task.id,
            Task.url,
            Task.ip_version,
            Task.check,
            func.coalesce(Incident.parent_id, Incident.id),
            Incident.cause,
            its_task.domain,
            Incident.certificate,
            Incident.address,
            Incident.agent,
            Incident.severity,
            Website.name,
        )
        .outerjoin(Event, Event.id == Delivery.event_id)
        .outerjoin(Incident, Incident.id == Event.incident_id)
        .outerjoin(Task, Task.id == Event.task_id)
        .outerjoin(Website, Website.id == Task.website_id)
        .outerjoin(leader, leader.id == Incident.parent_id)
        .outerjoin(its_task, its_task.id == leader.task_id)
        .where(
            Delivery.batch_id == bindparam("message"),
            Delivery.recipient == bindparam("of"),
            Delivery.state == DeliveryState.WAITING,
        )
        .order_by(Delivery.id)
    )


def list_references(
    session: Session, *, recipient: str, incident_ids: Collection[int], limit: int = 20
) -> list[str]:
    """The messages that a recipient was sent on some incidents, oldest first."""
    rows = session.execute(
        select(Delivery.batch_id, func.min(Delivery.id).label("first"))
        .join(Event, Event.id == Delivery.event_id)
        .where(
            Delivery.recipient == recipient,
            Delivery.state == DeliveryState.SENT,
            Delivery.batch_id.is_not(None),
            id_in(session, Event.incident_id, incident_ids),
        )
        .group_by(Delivery.batch_id)
        .order_by("first")
        .limit(limit)
    )
    return [str(batch_id) for batch_id, _ in rows]


def finish_claim(session: Session, *, claim: Claim, end: Finish) -> bool:
    """Write down how an attempt ended; False when the claim had gone to another."""
    values: dict[str, Any] = {
        "state": _end_state(end),
        "due_at": end.due_at,
        "sent_at": end.sent_at,
        "last_error": end.last_error,
        "claimed_by": None,
    }
    if end.is_open:
        values["batch_id"] = None
    changed = session.scalars(
        update(_TABLE)
        .where(
            _TABLE.c.batch_id == claim.batch_id,
            _TABLE.c.recipient == claim.recipient,
            _TABLE.c.state == DeliveryState.WAITING,
            _TABLE.c.claimed_by == claim.holder,
        )
        .values(**values)
        .returning(_TABLE.c.id)
    )
    return bool(changed.all())


def _end_state(end: Finish) -> Any:
    if end.dead_before is None:
        return end.state
    return case(
        (Delivery.created_at < end.dead_before, cast(DeliveryState.DEAD, _STATE)),
        else_=cast(end.state, _STATE),
    )


def bring_forward(session: Session, *, recipient: str, now: datetime) -> None:
    """Let what failed be tried now: the recipient can be reached again.

    What was never tried is held back for reasons of its own.
    """
    session.execute(
        update(Delivery)
        .where(
            Delivery.recipient == recipient,
            Delivery.state == DeliveryState.WAITING,
            Delivery.claimed_by.is_(None),
            Delivery.attempts > 0,
            Delivery.due_at > now,
        )
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )
