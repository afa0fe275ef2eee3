"""Notices that a clock which was set back has put off."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, case, or_, select, update
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

# Of the tables, and built once: housework that hardly ever finds something.
_DELIVERIES: Any = Delivery.__table__
_TARGETS: Any = DeliveryTarget.__table__
_NOW = bindparam("now", type_=UtcDateTime)
_NOT_YET = bindparam("not_yet", type_=UtcDateTime)
_LATEST_CLAIM = bindparam("latest_claim", type_=UtcDateTime)
_WAITS = _DELIVERIES.c.state == DeliveryState.WAITING
_IS_FREE = and_(_WAITS, _DELIVERIES.c.claimed_by.is_(None))
_HAS_FAILED_LATER = _TARGETS.c.failed_at > _NOT_YET
_END_CLAIMS = (
    update(_DELIVERIES)
    .where(
        _WAITS,
        _DELIVERIES.c.claimed_by.is_not(None),
        _DELIVERIES.c.due_at > _LATEST_CLAIM,
    )
    .values(due_at=_LATEST_CLAIM)
)
_SEND = (
    update(_DELIVERIES)
    .where(_IS_FREE, _DELIVERIES.c.created_at > _NOT_YET)
    .values(created_at=_NOW, due_at=_NOW)
    .returning(_DELIVERIES.c.id)
)
_LOOK_AGAIN = (
    update(_DELIVERIES)
    .where(
        _DELIVERIES.c.event_id.is_not(None),
        _DELIVERIES.c.held_until > bindparam("latest_look"),
    )
    .values(held_until=_NOW)
    .returning(_DELIVERIES.c.id)
)
_TRY_AGAIN = (
    update(_DELIVERIES)
    .where(
        _IS_FREE,
        _DELIVERIES.c.attempts > 0,
        _DELIVERIES.c.due_at > _NOW,
        _DELIVERIES.c.recipient.in_(
            select(_TARGETS.c.recipient).where(_HAS_FAILED_LATER)
        ),
    )
    .values(due_at=_NOW)
    .returning(_DELIVERIES.c.id)
)
_END_RESTS = (
    update(_TARGETS)
    .where(
        or_(
            _HAS_FAILED_LATER,
            and_(
                _TARGETS.c.failures == 0,
                _TARGETS.c.next_at > bindparam("latest_wait"),
            ),
        )
    )
    .values(
        next_at=None,
        failed_at=case((_HAS_FAILED_LATER, _NOW), else_=_TARGETS.c.failed_at),
    )
)


def bring_back(session: Session, *, now: datetime) -> int:
    """Let go out, or be looked at, what waits for a moment that had come; how many.

    What is just being sent is left to who sends it, for as long as that may take: it may
    be somebody who died.
    """
    moments = {
        "now": now,
        "not_yet": now + SET_BACK,
        "latest_claim": now + LONGEST_CLAIM,
        "latest_look": now + LONGEST_HOLD,
        "latest_wait": now + LONGEST_WAIT,
    }
    session.execute(_END_CLAIMS, moments)
    moved = [
        len(session.execute(statement, moments).all())
        for statement in (_SEND, _LOOK_AGAIN, _TRY_AGAIN)
    ]
    session.execute(_END_RESTS, moments)
    return sum(moved)
