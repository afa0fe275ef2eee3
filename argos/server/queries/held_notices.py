"""Notices about agents that are kept back, and what people heard of these before."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from argos.server.models import Delivery, DeliveryState

_KIND = Delivery.notice["kind"].as_string()
_AGENT = Delivery.notice["agent"].as_string()


class HeldNotice(NamedTuple):
    """A notice of no task's event that is kept back."""

    id: int
    recipient: str
    kind: str
    agent: str | None


def list_held_notices(session: Session) -> list[HeldNotice]:
    """All that is kept back, oldest first; there are few of them."""
    rows = session.execute(
        select(Delivery.id, Delivery.recipient, _KIND, _AGENT)
        .where(Delivery.event_id.is_(None), Delivery.held_until.is_not(None))
        .order_by(Delivery.id)
        .with_for_update()
    )
    return [HeldNotice._make(row) for row in rows]


def list_last_heard(
    session: Session, *, kinds: Collection[str], agent: str | None
) -> dict[str, str]:
    """By recipient: which of some kinds of notices about an agent came last."""
    rows = session.execute(
        select(Delivery.recipient, _KIND, _AGENT)
        .where(
            Delivery.event_id.is_(None),
            Delivery.state != DeliveryState.HELD,
            _KIND.in_(kinds),
        )
        .order_by(Delivery.id)
    )
    return {recipient: kind for recipient, kind, about in rows if about == agent}
