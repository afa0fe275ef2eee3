"""Incidents that belong together: which there are, and when their notices may go out."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from argos.core.cause import Cause, Leader, Traits
from argos.core.incident import EventKind
from argos.core.severity import Severity
from argos.server.models import Delivery, Event, Incident, Schedule, Task
from argos.server.queries.bulk import id_in
from argos.server.queries.held import IS_UNSENT


class OpenLeader(NamedTuple):
    """An open incident, or the one that it is gathered under, known by its traits."""

    leader: Leader
    told_at: datetime
    """When the first event of the one that speaks was published."""
    speaker: "SpeakerState"


class SpeakerState(NamedTuple):
    """How the incident stands that speaks for others."""

    severity: Severity
    closed_at: datetime | None
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    acknowledged_until: datetime | None

    def is_acknowledged(self, now: datetime) -> bool:
        """Whether it lasts, and somebody takes care of it."""
        until = self.acknowledged_until
        return (
            self.closed_at is None
            and self.acknowledged_at is not None
            and (until is None or now < until)
        )


def leader_id() -> ColumnElement[int]:
    """The incident that speaks for an incident: its parent, or itself."""
    return func.coalesce(Incident.parent_id, Incident.id)


def list_leaders(
    session: Session, *, since: datetime, websites: Collection[str]
) -> list[OpenLeader]:
    """Open leaders that began after a moment, and all that is open of some domains."""
    leader, speaker = leader_id(), aliased(Incident)
    told_at = (
        select(func.min(Event.at))
        .where(Event.incident_id == leader)
        .correlate(Incident)
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            leader,
            Task.domain,
            Incident.certificate,
            Incident.address,
            Incident.agent,
            Incident.opened_at,
            Incident.cause,
            func.coalesce(told_at, Incident.opened_at),
            speaker.severity,
            speaker.closed_at,
            speaker.acknowledged_by,
            speaker.acknowledged_at,
            speaker.acknowledged_until,
        )
        .join(Task, Task.id == Incident.task_id)
        .join(speaker, speaker.id == leader)
        .where(
            Incident.closed_at.is_(None),
            or_(
                and_(Incident.parent_id.is_(None), Incident.opened_at >= since),
                Task.domain.in_(sorted(websites)),
            ),
        )
        .order_by(Incident.opened_at, Incident.id)
    )
    return [
        OpenLeader(
            Leader(id_, Traits(*row[:4]), row[4], row[5]),
            told_at=row[6],
            speaker=SpeakerState(*row[7:]),
        )
        for id_, *row in rows
    ]


def adopt(
    session: Session, *, parent_id: int, ids: Collection[int], cause: Cause
) -> None:
    """Gather leaders, and those that are gathered under them, under another incident."""
    session.execute(
        update(Incident)
        .where(id_in(session, leader_id(), ids), Incident.id != parent_id)
        .values(parent_id=parent_id, cause=cause)
    )


def count_members(
    session: Session, *, leader_ids: Collection[int]
) -> dict[int, tuple[int, int]]:
    """By leader: how many incidents it speaks for, itself included, and are open."""
    if not leader_ids:
        return {}
    leader = leader_id()
    rows = session.execute(
        select(leader, func.count(), func.count().filter(Incident.closed_at.is_(None)))
        .where(
            or_(
                id_in(session, Incident.id, leader_ids),
                id_in(session, Incident.parent_id, leader_ids),
            )
        )
        .group_by(leader)
    )
    return {id_: (members, still_open) for id_, members, still_open in rows}


def list_leader_ids(session: Session, *, ids: Collection[int]) -> dict[int, int]:
    """By incident: who speaks for it."""
    if not ids:
        return {}
    rows = session.execute(
        select(Incident.id, leader_id()).where(id_in(session, Incident.id, ids))
    )
    return dict(rows.all())


def list_held_recoveries(
    session: Session, *, leader_ids: Collection[int], now: datetime
) -> dict[int, datetime]:
    """By leader: until when recoveries of its incidents are held already."""
    if not leader_ids:
        return {}
    leader = leader_id()
    rows = session.execute(
        select(leader, func.min(Delivery.due_at))
        .join(Event, Event.incident_id == Incident.id)
        .join(Delivery, Delivery.event_id == Event.id)
        .where(
            *_is_held(now),
            Event.kind == EventKind.CLOSED,
            id_in(session, leader, leader_ids),
        )
        .group_by(leader)
    )
    return dict(rows.all())


def hold(
    session: Session,
    *,
    event_ids: Collection[int],
    until: datetime,
    recipients: Collection[str] | None = None,
) -> None:
    """Keep the notices of some events back until a moment; all, or those to some."""
    if not event_ids:
        return
    is_meant = [] if recipients is None else [Delivery.recipient.in_(recipients)]
    session.execute(
        update(Delivery)
        .where(id_in(session, Delivery.event_id, event_ids), *IS_UNSENT, *is_meant)
        .values(due_at=until)
    )


def release(session: Session, *, leader_ids: Collection[int], now: datetime) -> None:
    """Let all go out that is held back of what some incidents speak for."""
    if not leader_ids:
        return
    events = (
        select(Event.id)
        .join(Incident, Incident.id == Event.incident_id)
        .where(
            or_(
                id_in(session, Incident.id, leader_ids),
                id_in(session, Incident.parent_id, leader_ids),
            )
        )
    )
    session.execute(
        update(Delivery)
        .where(Delivery.event_id.in_(events), *_is_held(now))
        .values(due_at=now)
    )


def make_stale_due(
    session: Session, *, domains: Sequence[str], since: datetime, now: datetime
) -> bool:
    """Look at websites at once that were not looked at since a moment.

    Returns whether an answer is to be waited for.
    """
    stale = select(Task.group_id).where(
        Task.domain.in_(domains),
        Task.archived_at.is_(None),
        or_(Task.completed_at.is_(None), Task.completed_at < since),
    )
    groups = list(
        session.execute(
            select(Schedule.id, Schedule.leased_at)
            .where(Schedule.id.in_(stale))
            .order_by(Schedule.id)
            .with_for_update(key_share=True, skip_locked=True)
        )
    )
    idle = [id_ for id_, leased_at in groups if leased_at is None]
    if idle:
        session.execute(
            update(Schedule)
            .where(id_in(session, Schedule.id, idle), Schedule.due_at > now)
            .values(due_at=now, next_run=now)
        )
    return bool(groups)


def _is_held(now: datetime) -> tuple[Any, ...]:
    return (*IS_UNSENT, Delivery.due_at > now)
