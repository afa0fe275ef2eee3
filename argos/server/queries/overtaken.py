"""Notices that a clock which was set back has put off."""

from datetime import datetime, timedelta

from sqlalchemy import and_, case, literal, or_, select, update
from sqlalchemy.orm import Session

from argos.server.columns import UtcDateTime
from argos.server.models import Delivery, DeliveryState, DeliveryTarget
from argos.server.queries.duties import SET_BACK

LONGEST_WAIT = timedelta(minutes=2)
"""Longer than anybody waits who can be reached, for others to be told with."""
LONGEST_CLAIM = timedelta(minutes=2)
"""Longer than any attempt may take, beginning now."""
LONGEST_HOLD = timedelta(minutes=10)
"""Longer than it takes until somebody looks again at what is kept back."""


def bring_back(session: Session, *, now: datetime) -> int:
    """Let go out, or be looked at, what waits for a moment that had come; how many.

    What is just being sent is left to who sends it, for as long as that may take: it may
    be somebody who died.
    """
    session.execute(
        update(Delivery)
        .where(
            Delivery.state == DeliveryState.WAITING,
            Delivery.claimed_by.is_not(None),
            Delivery.due_at > now + LONGEST_CLAIM,
        )
        .values(due_at=now + LONGEST_CLAIM)
        .execution_options(synchronize_session=False)
    )
    waiting = session.execute(
        update(Delivery)
        .where(
            Delivery.state == DeliveryState.WAITING,
            Delivery.claimed_by.is_(None),
            Delivery.created_at > now + SET_BACK,
        )
        .values(created_at=now, due_at=now)
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    held = session.execute(
        update(Delivery)
        .where(Delivery.event_id.is_not(None), Delivery.held_until > now + LONGEST_HOLD)
        .values(held_until=now)
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    has_failed_later = DeliveryTarget.failed_at > now + SET_BACK
    tried = session.execute(
        update(Delivery)
        .where(
            Delivery.state == DeliveryState.WAITING,
            Delivery.claimed_by.is_(None),
            Delivery.attempts > 0,
            Delivery.due_at > now,
            Delivery.recipient.in_(
                select(DeliveryTarget.recipient).where(has_failed_later)
            ),
        )
        .values(due_at=now)
        .returning(Delivery.id)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(DeliveryTarget)
        .where(
            or_(
                has_failed_later,
                and_(
                    DeliveryTarget.failures == 0,
                    DeliveryTarget.next_at > now + LONGEST_WAIT,
                ),
            )
        )
        .values(
            next_at=None,
            failed_at=case(
                # Of the column's type: SQLite keeps whatever it is given.
                (has_failed_later, literal(now, UtcDateTime)),
                else_=DeliveryTarget.failed_at,
            ),
        )
        .execution_options(synchronize_session=False)
    )
    return sum(len(moved.all()) for moved in (waiting, held, tried))
