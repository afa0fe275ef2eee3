"""What is seen from the other locations of checks that are watched from several."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, bindparam, exists, func, or_, select, text, update
from sqlalchemy.orm import Session

from argos.core.quorum import View
from argos.core.severity import Severity
from argos.server.models import Agent, Schedule, Task
from argos.server.queries.bulk import id_in, is_sqlite, key_in
from argos.server.queries.selection import inline

GRACE = timedelta(minutes=2)
"""A location answers as long as its runs are not overdue by more, nor blind for longer."""


class TaskView(NamedTuple):
    """A task of a check that is watched from several locations, as the others see it."""

    task_id: int
    view: View
    severity: Severity
    completed_at: datetime | None


def lock_quorums(session: Session, *, keys: Collection[bytes]) -> None:
    """Let one batch at a time count the votes of a check, until its transaction ends.

    Taken after all rows are locked, in one order: so nobody waits in a circle.
    """
    if is_sqlite(session):
        return
    numbers = sorted({int.from_bytes(key[:8], "big", signed=True) for key in keys})
    for number in numbers:
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": number})


def list_views(
    session: Session, *, keys: Collection[bytes], now: datetime, watched_since: datetime
) -> dict[bytes, list[TaskView]]:
    """The tasks of some checks at all of their locations, by the checks' keys.

    What is overdue since before somebody watched says nothing of its location.
    """
    if not keys:
        return {}
    columns = Task.__table__.c
    rows = session.execute(
        select(
            columns.watch_key,
            columns.id,
            columns.location,
            columns.contiguous_failures,
            columns.retry_before_notification,
            columns.told_severity,
            columns.severity,
            columns.severity_since,
            columns.completed_at,
            Schedule.__table__.c.due_at,
        )
        .join_from(Task, Schedule, Schedule.id == Task.group_id)
        .where(key_in(session, columns.watch_key, keys), columns.archived_at.is_(None))
        .order_by(columns.id)
    )
    found: dict[bytes, list[TaskView]] = defaultdict(list)
    for (
        key,
        id_,
        location,
        failures,
        retries,
        told,
        severity,
        since,
        completed,
        due,
    ) in rows:
        is_measured = severity is not Severity.UNKNOWN
        blind_since = now if is_measured or completed is None else since or completed
        view = View(
            location=location,
            is_failing=is_measured and failures > max(retries, 0),
            is_told=told is not Severity.OK,
            is_answering=min(max(due, watched_since), blind_since) >= now - GRACE,
        )
        found[bytes(key)].append(TaskView(id_, view, severity, completed))
    return found


def look_elsewhere(
    session: Session,
    *,
    keys: Collection[bytes],
    is_told: bool,
    but: Collection[int],
    now: datetime,
) -> None:
    """Let other locations look at once: those that told a problem, or that see none.

    Whoever has a row locked looks anyway.
    """
    is_wanted = Task.contiguous_failures == 0
    if is_told:
        is_wanted = Task.told_severity != Severity.OK
    groups = select(Task.group_id).where(
        key_in(session, Task.watch_key, keys),
        Task.archived_at.is_(None),
        is_wanted,
        ~id_in(session, Task.id, but),
    )
    idle = list(
        session.scalars(
            select(Schedule.id)
            .where(
                Schedule.id.in_(groups),
                Schedule.leased_at.is_(None),
                Schedule.due_at > now,
            )
            .order_by(Schedule.id)
            .with_for_update(key_share=True, skip_locked=True)
        )
    )
    if idle:
        session.execute(
            update(Schedule)
            .where(id_in(session, Schedule.id, idle))
            .values(due_at=now, next_run=now)
        )


class UnservedLocation(NamedTuple):
    """A location that websites name and where no agent is."""

    location: str
    group_count: int
    """Task groups that wait for one."""


def list_unserved_locations(
    session: Session, *, seen_after: datetime
) -> Sequence[UnservedLocation]:
    """Locations without an agent that was seen after a moment, by name."""
    is_served = exists().where(
        Agent.location == Schedule.location,
        Agent.last_seen_at > seen_after,
        Agent.revoked_at.is_(None),
    )
    rows = session.execute(
        select(Schedule.location, func.count())
        .where(Schedule.location.is_not(None), ~is_served)
        .group_by(Schedule.location)
        .order_by(Schedule.location)
    )
    return [UnservedLocation(name or "", count) for name, count in rows]


def list_orphans(
    session: Session, *, now: datetime, watched_since: datetime, count: int
) -> Sequence[int]:
    """Tasks with an open incident, at locations from where nobody sees them any more.

    Because nobody looks in time, or because what looks from there is blind.
    """
    latest = now - GRACE
    statement = _orphans(count, is_watched=watched_since < latest)
    return session.scalars(statement, {"latest": latest}).all()


@cache
def _orphans(count: int, *, is_watched: bool) -> Select[Any]:
    """With what nobody looked at in time, as far as somebody watched."""
    is_blind = and_(
        Task.severity == Severity.UNKNOWN, Task.severity_since < bindparam("latest")
    )
    is_unseen = or_(Schedule.due_at < bindparam("latest"), is_blind)
    return (
        select(Task.id)
        .join(Schedule, Schedule.id == Task.group_id)
        .where(
            Task.watch_key.is_not(None),
            Task.quorum > 1,
            Task.told_severity != inline(Severity.OK),
            Task.archived_at.is_(None),
            is_unseen if is_watched else is_blind,
        )
        .order_by(Task.id)
        .limit(count)
    )
