"""What is next for a recipient, however much waits: the database looks through it.

What somebody hears of a task, they hear in order: what waits for its moment, or in a
message that could not be sent, holds up what is newer of its tasks, and nothing else.
"""

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Subquery,
    bindparam,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from argos.core.grouping import Waiting
from argos.server.models import Delivery, DeliveryState, Event, Incident, Task


def find_due_message(session: Session, *, recipient: str, now: datetime) -> str | None:
    """The message to be sent next, of those whose content is decided.

    It waits while it tells of a task of which something older waits elsewhere.
    """
    found: str | None = session.scalar(_due_message(), {"of": recipient, "now": now})
    return found


def list_pending(
    session: Session, *, recipient: str, now: datetime, limit: int
) -> list[Waiting]:
    """What may go into a message now, oldest first."""
    rows = session.execute(_pending(limit), {"of": recipient, "now": now})
    return [Waiting(*row) for row in rows]


# Each is built once: building takes longer than what the database has to do.


@cache
def _due_message() -> Select[Any]:
    lane, oldest = _lane(), aliased(Delivery)
    first = _first_by_task(lane)
    is_elsewhere = or_(oldest.batch_id.is_(None), oldest.batch_id != lane.c.batch_id)
    is_held_up = oldest.id.is_not(None) & is_elsewhere
    is_due = func.min(lane.c.due_at) <= bindparam("now")
    return (
        select(lane.c.batch_id)
        .outerjoin(first, first.c.task_id == lane.c.task_id)
        .outerjoin(oldest, oldest.id == first.c.id)
        .where(lane.c.batch_id.is_not(None))
        .group_by(lane.c.batch_id)
        .having(is_due, func.count().filter(is_held_up) == 0)
        .order_by(func.min(lane.c.id))
        .limit(1)
    )


@cache
def _pending(limit: int) -> Select[Any]:
    lane = _lane()
    is_free = lane.c.batch_id.is_(None) & (lane.c.due_at <= bindparam("now"))
    stuck = _first_by_task(lane, ~is_free)
    pending = (
        select(lane.c.id, lane.c.message_id, lane.c.event_id)
        .outerjoin(stuck, stuck.c.task_id == lane.c.task_id)
        .where(is_free, or_(stuck.c.id.is_(None), stuck.c.id > lane.c.id))
        .order_by(lane.c.id)
        .limit(limit)
        .subquery()
    )
    return (
        select(
            pending.c.id,
            pending.c.message_id,
            Event.task_id,
            Task.domain,
            func.coalesce(Incident.parent_id, Incident.id),
        )
        .outerjoin_from(pending, Event, Event.id == pending.c.event_id)
        .outerjoin(Incident, Incident.id == Event.incident_id)
        .outerjoin(Task, Task.id == Event.task_id)
        .order_by(pending.c.id)
    )


def _lane() -> CTE:
    """All that waits for a recipient, the parameter `of`."""
    return (
        select(
            Delivery.id,
            Delivery.message_id,
            Delivery.batch_id,
            Delivery.due_at,
            Delivery.event_id,
            Event.task_id,
        )
        .outerjoin(Event, Event.id == Delivery.event_id)
        .where(
            Delivery.state == DeliveryState.WAITING,
            Delivery.recipient == bindparam("of"),
        )
        .cte("lane")
    )


def _first_by_task(lane: CTE, *conditions: ColumnElement[bool]) -> Subquery:
    """The oldest of each task in a lane that meets some conditions."""
    return (
        select(lane.c.task_id, func.min(lane.c.id).label("id"))
        .where(lane.c.task_id.is_not(None), *conditions)
        .group_by(lane.c.task_id)
        .subquery()
    )
