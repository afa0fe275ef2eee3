"""Notices that are kept back while something is silent."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, case, select, update
from sqlalchemy.orm import Session, aliased

from argos.core.severity import Severity
from argos.server.models import Delivery, DeliveryState, Event, Incident, Task
from argos.server.queries.bulk import RowSource, id_in


class HeldDelivery(NamedTuple):
    """A notice that is kept back."""

    id: int
    recipient: str
    incident_id: int
    task_id: int
    severity: Severity
    """How bad it is; of a recovery, how bad it was: that waits as long as its problem."""


class Hold(NamedTuple):
    """For how long to keep a notice back, and because of what."""

    id: int
    held_until: datetime
    held_by: str


class Speaker(NamedTuple):
    """The incident under which another one is gathered."""

    id: int
    severity: Severity
    closed_at: datetime | None
    frequency: float
    """Of the other one's task, in minutes."""


IS_UNSENT = (
    Delivery.state == DeliveryState.WAITING,
    Delivery.attempts == 0,
    Delivery.batch_id.is_(None),
)
"""Nobody has tried to send it, nor put it into a message with others."""
_COLUMNS = [
    Delivery.__table__.c.id,
    Delivery.__table__.c.recipient,
    Event.__table__.c.incident_id,
    Event.__table__.c.task_id,
    case(
        (
            Event.__table__.c.severity == Severity.OK,
            # Not by a join: PostgreSQL may read all incidents for it.
            select(Incident.__table__.c.severity)
            .where(Incident.__table__.c.id == Event.__table__.c.incident_id)
            .scalar_subquery(),
        ),
        else_=Event.__table__.c.severity,
    ),
]
_HOLDS = RowSource({"id": "bigint", "held_until": "timestamptz", "held_by": "text"})
_HOLD_ON = """
UPDATE deliveries SET held_until = u.held_until, held_by = u.held_by
FROM {rows} WHERE deliveries.id = u.id AND deliveries.held_until IS NOT NULL
"""
_ANY_HELD_OVER = (
    select(Delivery.id).where(Delivery.held_until <= bindparam("now")).limit(1)
)


def lock_held_of(
    session: Session, *, incident_ids: Collection[int]
) -> list[HeldDelivery]:
    """What is kept back of some incidents; nobody lets it go in the meantime."""
    rows = session.execute(
        select(*_COLUMNS)
        .select_from(Delivery)
        .join(Event, Event.id == Delivery.event_id)
        .where(
            Delivery.held_until.is_not(None),
            id_in(session, Event.incident_id, incident_ids),
        )
        .order_by(Delivery.id)
        .with_for_update(of=Delivery)
    )
    return [HeldDelivery._make(row) for row in rows]


def has_held_over(session: Session, *, now: datetime) -> bool:
    """Whether anything is to be looked at again."""
    return session.scalar(_ANY_HELD_OVER, {"now": now}) is not None


def list_held_over(
    session: Session, *, now: datetime, count: int
) -> list[HeldDelivery]:
    """What is to be looked at again; locked."""
    rows = session.execute(_held_over(count), {"now": now})
    return [HeldDelivery._make(row) for row in rows]


@cache
def _held_over(count: int) -> Select[Any]:
    return (
        select(*_COLUMNS)
        .select_from(Delivery)
        .join(Event, Event.id == Delivery.event_id)
        .where(Delivery.held_until <= bindparam("now"))
        .order_by(Delivery.held_until, Delivery.id)
        .limit(count)
        .with_for_update(of=Delivery, skip_locked=True)
    )


def list_speakers(
    session: Session, *, incident_ids: Collection[int]
) -> dict[int, Speaker]:
    """By incident: the one that speaks for it, where there is such a one."""
    leader = aliased(Incident)
    rows = session.execute(
        select(
            Incident.id,
            leader.id,
            leader.severity,
            leader.closed_at,
            Task.frequency,
        )
        .join(leader, leader.id == Incident.parent_id)
        .join(Task, Task.id == Incident.task_id)
        .where(id_in(session, Incident.id, incident_ids))
    )
    return {row[0]: Speaker._make(row[1:]) for row in rows}


def list_hearers(
    session: Session, *, incident_ids: Collection[int]
) -> dict[int, set[str]]:
    """By incident: who was told of it, or is just being told."""
    rows = session.execute(
        select(Event.incident_id, Delivery.recipient)
        .join(Delivery, Delivery.event_id == Event.id)
        .where(
            id_in(session, Event.incident_id, incident_ids),
            Delivery.state.in_((DeliveryState.WAITING, DeliveryState.SENT)),
        )
        .distinct()
    )
    found: dict[int, set[str]] = defaultdict(set)
    for incident_id, recipient in rows:
        found[incident_id].add(recipient)
    return found


def silence_unsent(
    session: Session, *, speaker_id: int, label: str, now: datetime
) -> None:
    """Keep back what is not told yet of those that are gathered under an incident.

    What is over already would be old news by the time that the incident is.
    """
    events = (
        select(Event.id)
        .join(Incident, Incident.id == Event.incident_id)
        .where(Incident.parent_id == speaker_id, Incident.closed_at.is_(None))
    )
    session.execute(
        update(Delivery)
        .where(
            Delivery.event_id.in_(events),
            *IS_UNSENT,
        )
        .values(state=DeliveryState.HELD, held_until=now, held_by=label)
        .execution_options(synchronize_session=False)
    )


def drop_held(session: Session, *, ids: Collection[int], now: datetime) -> None:
    """Never tell these: they are news no longer."""
    _change(session, ids, held_until=None, dropped_at=now, state=DeliveryState.HELD)


def let_go(session: Session, *, ids: Collection[int], now: datetime) -> None:
    """Tell these now; the time for which they may be tried begins now, too."""
    _change(
        session,
        ids,
        held_until=None,
        state=DeliveryState.WAITING,
        created_at=now,
        due_at=now,
    )


def hold_on(session: Session, *, holds: Sequence[Hold]) -> None:
    """Keep these back for longer."""
    _HOLDS.write(session, _HOLD_ON, holds)


def _change(session: Session, ids: Collection[int], **values: object) -> None:
    if ids:
        session.execute(
            update(Delivery)
            .where(id_in(session, Delivery.id, ids), Delivery.held_until.is_not(None))
            .values(**values)
            .execution_options(synchronize_session=False)
        )
