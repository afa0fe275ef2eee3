"""How well the watching itself goes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from argos.server.models import Delivery, DeliveryState, Schedule


def get_oldest_stuck_at(
    session: Session, *, now: datetime, patience: timedelta
) -> datetime | None:
    """Since when a notice should be delivered that is not; None: there is none.

    Counted are those that an attempt was made for, since they were made, and those that
    nobody took up within `patience` of their time, since then.
    """
    since = case((Delivery.attempts > 0, Delivery.created_at), else_=Delivery.due_at)
    moment: datetime | None = session.scalar(
        select(func.min(since)).where(
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
