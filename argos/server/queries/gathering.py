"""Incidents that belong together: which there are, and when their notices may go out."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, update
from sqlalchemy.orm import Session, aliased

from argos.core.cause import Cause, Leader, Traits
from argos.core.schedule import EPOCH
from argos.core.severity import Severity
from argos.server.columns import UtcDateTime
from argos.server.models import Delivery, Event, Incident, Schedule, Task, Website
from argos.server.queries.bulk import (
    driver_moment,
    id_in,
    id_list,
    moment_reader,
    run,
    text_in,
)
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
    session: Session,
    *,
    since: datetime,
    websites: Collection[str],
    traits: Collection[Traits],
) -> list[OpenLeader]:
    """Open leaders that began after a moment, and all that is open of some domains.

    Of the leaders only those that share a trait besides the website.
    """
    shared = _shared(session, traits)
    rows: list[Any] = []
    if shared is not None:
        is_leading = and_(Incident.parent_id.is_(None), Incident.opened_at >= since)
        rows += session.execute(_open_leaders().where(is_leading, shared))
    if websites:
        # Apart: PostgreSQL may go through all open incidents to find theirs.
        tasks = session.scalars(_tasks_of(session, websites)).all()
        is_theirs = id_in(session, Incident.task_id, tasks)
        rows += session.execute(_open_leaders().where(is_theirs))
    unique = {row[0]: _open_leader(*row[1:]) for row in rows}
    found = sorted(unique.items(), key=lambda pair: (pair[1].leader.began_at, pair[0]))
    return [leader for _, leader in found]


def _open_leaders() -> Select[*tuple[Any, ...]]:
    leader, speaker = leader_id(), aliased(Incident)
    told_at = (
        select(func.min(Event.at))
        .where(Event.incident_id == leader)
        .correlate(Incident)
        .scalar_subquery()
    )
    return (
        select(
            Incident.id,
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
        .where(Incident.closed_at.is_(None))
    )


def _open_leader(id_: int, *row: Any) -> OpenLeader:
    return OpenLeader(
        Leader(id_, Traits(*row[:4]), row[4], row[5]),
        told_at=row[6],
        speaker=SpeakerState(*row[7:]),
    )


def _shared(session: Session, traits: Collection[Traits]) -> ColumnElement[bool] | None:
    """Whether an incident has a trait of these; None: there is none to have."""
    conditions = [
        text_in(session, getattr(Incident, name), sorted(values))
        for name in ("certificate", "address", "agent")
        if (values := {getattr(each, name) for each in traits} - {None})
    ]
    return or_(*conditions) if conditions else None


def _tasks_of(session: Session, websites: Collection[str]) -> Select[int]:
    """The tasks of some domains, by the websites: tasks have no index of domains."""
    return (
        select(Task.id)
        .join(Website, Website.id == Task.website_id)
        .where(text_in(session, Website.domain, sorted(websites)))
    )


def list_leading(
    session: Session, *, since: datetime, websites: Collection[str]
) -> list[int]:
    """Open incidents of some domains that speak for themselves, since a moment."""
    return list(
        session.scalars(
            select(Incident.id)
            .join(Task, Task.id == Incident.task_id)
            .where(
                Incident.closed_at.is_(None),
                Incident.parent_id.is_(None),
                Incident.opened_at >= since,
                text_in(session, Task.domain, sorted(websites)),
            )
        )
    )


def adopt(
    session: Session, *, parent_id: int, ids: Collection[int], cause: Cause
) -> None:
    """Gather leaders, and those that are gathered under them, under another incident."""
    session.execute(
        update(Incident)
        .where(_is_of(session, ids), Incident.id != parent_id)
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
        .where(_is_of(session, leader_ids))
        .group_by(leader)
    )
    return {id_: (members, still_open) for id_, members, still_open in rows}


class Extent(NamedTuple):
    """How much an incident speaks for, as far as its recovery asks for it."""

    is_gathering: bool
    """It speaks for others, too."""
    is_over: bool
    """It has ended, and so have all that it speaks for."""


_EXTENTS = """
SELECT l.id,
  EXISTS (SELECT 1 FROM incidents c WHERE c.parent_id = l.id),
  l.closed_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM incidents c WHERE c.parent_id = l.id AND c.closed_at IS NULL)
FROM incidents l WHERE l.id {which}
"""


def list_extents(session: Session, *, leader_ids: Collection[int]) -> dict[int, Extent]:
    """By leader; nothing is counted, however much it speaks for."""
    if not leader_ids:
        return {}
    which, parameters = id_list(session, list(leader_ids))
    rows = run(session, _EXTENTS.format(which=which), parameters)
    return {id_: Extent(bool(others), bool(over)) for id_, others, over in rows}


def list_leader_ids(session: Session, *, ids: Collection[int]) -> dict[int, int]:
    """By incident: who speaks for it."""
    if not ids:
        return {}
    rows = session.execute(
        select(Incident.id, leader_id()).where(id_in(session, Incident.id, ids))
    )
    return dict(rows.all())


RECENT_RECOVERIES = 100
"""Of more that are under one incident, no older ones are looked at, besides the new ones."""
# Incident by incident, and what is held told apart at last: else PostgreSQL may read all
# events, or all that waits, and look for these few among them.
_HELD_RECOVERIES = """
SELECT l.id, (
  SELECT min(held.due_at) FROM (
    SELECT (
      SELECT min(CASE WHEN d.state = 'waiting' AND d.attempts = 0
                       AND d.batch_id IS NULL AND d.due_at > :now THEN d.due_at END)
      FROM events e JOIN deliveries d ON d.event_id = e.id
      WHERE e.incident_id = m.id AND e.kind = 'closed') AS due_at
    FROM (
      SELECT l.id AS id UNION ALL SELECT recent.id FROM (
        SELECT c.id FROM incidents c
        WHERE c.parent_id = l.id AND c.closed_at IS NOT NULL
        ORDER BY c.closed_at DESC LIMIT :count) AS recent) AS m) AS held)
FROM incidents l WHERE l.id {which}
"""


def list_held_recoveries(
    session: Session, *, leader_ids: Collection[int], new: int, now: datetime
) -> dict[int, datetime]:
    """By leader: until when the newest recoveries of its incidents are held already.

    So many `new` ones have ended just now, and wait for nothing yet.
    """
    if not leader_ids:
        return {}
    which, parameters = id_list(session, list(leader_ids))
    moment = driver_moment(session, now)
    rows = run(
        session,
        _HELD_RECOVERIES.format(which=which),
        {**parameters, "now": moment, "count": RECENT_RECOVERIES + new},
    )
    read = moment_reader(session)
    moments = ((id_, read(value)) for id_, value in rows)
    return {id_: moment for id_, moment in moments if moment is not None}


def release(session: Session, *, leader_ids: Collection[int], now: datetime) -> None:
    """Let all go out that is held back of what some incidents speak for."""
    if not leader_ids:
        return
    events = (
        select(Event.id)
        .join(Incident, Incident.id == Event.incident_id)
        .where(_is_of(session, leader_ids))
    )
    session.execute(
        update(Delivery)
        .where(Delivery.event_id.in_(events), *_is_held(now))
        .values(due_at=now)
    )


class StaleGroup(NamedTuple):
    """A task group that was not looked at since a moment; locked."""

    id: int
    is_leased: bool
    looked_at: datetime
    """When the task was that was looked at the longest time ago; 1970: never."""


def lock_stale(
    session: Session, *, websites: Collection[str], since: datetime
) -> list[StaleGroup]:
    """Task groups of some domains that were not looked at since a moment.

    Those that somebody else has locked are left out.
    """
    looked_at = func.coalesce(Task.completed_at, literal(EPOCH, UtcDateTime))
    of_websites = (
        Task.id.in_(_tasks_of(session, websites)),
        Task.archived_at.is_(None),
        looked_at < since,
    )
    oldest = (
        select(func.min(looked_at))
        .where(Task.group_id == Schedule.id, Task.archived_at.is_(None))
        .scalar_subquery()
    )
    rows = session.execute(
        select(Schedule.id, Schedule.leased_at, oldest)
        .where(Schedule.id.in_(select(Task.group_id).where(*of_websites)))
        .order_by(Schedule.id)
        .with_for_update(of=Schedule, key_share=True, skip_locked=True)
    )
    return [StaleGroup(id_, leased_at is not None, at) for id_, leased_at, at in rows]


def make_due(session: Session, *, ids: Collection[int], now: datetime) -> None:
    """Have task groups looked at at once that nobody has leased."""
    if ids:
        session.execute(
            update(Schedule)
            .where(id_in(session, Schedule.id, ids), Schedule.due_at > now)
            .values(due_at=now, next_run=now)
        )


def _is_of(session: Session, leader_ids: Collection[int]) -> ColumnElement[bool]:
    """Whether an incident is one of these leaders, or gathered under one."""
    return or_(
        id_in(session, Incident.id, leader_ids),
        id_in(session, Incident.parent_id, leader_ids),
    )


def _is_held(now: datetime) -> tuple[Any, ...]:
    return (*IS_UNSENT, Delivery.due_at > now)
