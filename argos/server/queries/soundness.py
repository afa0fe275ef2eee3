"""How well the watching itself goes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from argos.server.models import Delivery, DeliveryState, Schedule


def get_oldest_stuck_at(
    session: Session, *, now: datetime, patience: timedelta
) -> datetime | None:
    """When the oldest notice was made that should be delivered by now; None: there is none.

    Counted are those that an attempt was made for, and those that nobody took up within
    `patience` of their time.
    """
    moment: datetime | None = session.scalar(
        select(func.min(Delivery.created_at)).where(
            Delivery.state == DeliveryState.WAITING,
            or_(Delivery.attempts > 0, Delivery.due_at < now - patience),
        )
    )
    return moment


def count_overdue(session: Session, *, pools: Sequence[int], before: datetime) -> int:
    """How many task groups of these pools were due before a moment."""
    statement = (
        select(func.count())
        .select_from(Schedule)
        .where(Schedule.pool.in_([int(pool) for pool in pools]))
        .where(Schedule.due_at < before)
    )
    return session.scalar(statement) or 0
