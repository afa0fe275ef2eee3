"""Who knows of an incident, and what people write on it."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from argos.server.models import Incident, IncidentComment
from argos.server.queries.gathering import leader_id


class CommentRow(NamedTuple):
    """What somebody wrote on an incident."""

    at: datetime
    author: str
    text: str


class Acknowledgement(NamedTuple):
    """Somebody takes care of an incident."""

    by: str
    at: datetime
    until: datetime | None
    """None: until the incident ends."""


def get_leader_id(session: Session, *, incident_id: int) -> int | None:
    """The incident that speaks for an incident; None: there is no such one."""
    found: int | None = session.scalar(
        select(leader_id()).where(Incident.id == incident_id)
    )
    return found


def acknowledge(
    session: Session, *, leader: int, acknowledgement: Acknowledgement
) -> int:
    """Note who takes care of what an incident speaks for; the number of open ones."""
    changed = session.execute(
        update(Incident)
        .where(leader_id() == leader, Incident.closed_at.is_(None))
        .values(
            acknowledged_by=acknowledgement.by,
            acknowledged_at=acknowledgement.at,
            acknowledged_until=acknowledgement.until,
        )
        .returning(Incident.id)
    )
    return len(changed.all())


def withdraw(session: Session, *, leader: int) -> int:
    """Forget who takes care of what an incident speaks for; of how many open ones."""
    changed = session.execute(
        update(Incident)
        .where(
            leader_id() == leader,
            Incident.closed_at.is_(None),
            Incident.acknowledged_at.is_not(None),
        )
        .values(acknowledged_by=None, acknowledged_at=None, acknowledged_until=None)
        .returning(Incident.id)
    )
    return len(changed.all())


def add_comment(
    session: Session, *, incident_id: int, author: str, text: str, now: datetime
) -> None:
    """Keep what somebody wrote."""
    session.execute(
        insert(IncidentComment).values(
            incident_id=incident_id, at=now, author=author, text=text
        )
    )


def list_comments(session: Session, *, incident_id: int) -> Sequence[CommentRow]:
    """What people wrote on an incident, and on those that it belongs together with."""
    leader = select(leader_id()).where(Incident.id == incident_id).scalar_subquery()
    rows = session.execute(
        select(IncidentComment.at, IncidentComment.author, IncidentComment.text)
        .join(Incident, Incident.id == IncidentComment.incident_id)
        .where(leader_id() == leader)
        .order_by(IncidentComment.at, IncidentComment.id)
    )
    return [CommentRow(*row) for row in rows]
