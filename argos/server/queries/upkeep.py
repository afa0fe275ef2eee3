"""Housework on rows: delete what is too old, a little at a time; mend the queue."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import bindparam, delete, literal, select, text, update
from sqlalchemy.orm import Session

from argos.core.severity import Severity, Status
from argos.server.columns import UtcDateTime
from argos.server.models import LoginSession, Result, Schedule, Task
from argos.server.queries.bulk import RowSource, id_in, is_sqlite
from argos.server.queries.leases import EXPIRED_LEASES_BEFORE_BACKOFF

_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"

# Only strays lie in the default partition: whole days go with their partitions.
_DELETE_STRAYS = """
DELETE FROM results_default WHERE ctid = ANY(ARRAY(
  SELECT ctid FROM results_default WHERE submitted_at < :before LIMIT :count))
"""

# Nothing is due later than a period, or a lease, from now; but for a clock set back.
_STRANDED = """
SELECT id, key, frequency, lease_no FROM schedule
WHERE due_at > {after} LIMIT :count
"""
_AFTER_S = "(frequency * 60 + timeout_s + :margin_s)"
_AFTER_SQLITE = f":now + CAST(1000000 * {_AFTER_S} AS INTEGER)"
_AFTER_POSTGRESQL = f"CAST(:now AS timestamptz) + make_interval(secs => {_AFTER_S})"
_PULL_BACK = """
UPDATE schedule SET
  due_at = u.due_at,
  next_run = CASE WHEN leased_at IS NULL THEN u.due_at ELSE next_run END
FROM {rows} WHERE schedule.id = u.id AND schedule.lease_no = u.lease_no
"""
_PULLED = RowSource({"id": "bigint", "lease_no": "integer", "due_at": "timestamptz"})
# Written out, as a partial index needs it.
_LEAST = literal(EXPIRED_LEASES_BEFORE_BACKOFF, literal_execute=True)
_STALLED_GROUPS = select(Schedule.id).where(Schedule.expired_leases >= _LEAST)


class Stranded(NamedTuple):
    """A task group that would not run for a long time."""

    id: int
    key: bytes
    frequency: float
    lease_no: int


class PullBack(NamedTuple):
    """When such a group runs instead."""

    id: int
    lease_no: int
    due_at: datetime


def limit_lock_wait(session: Session) -> None:
    """Give up soon rather than make all others queue behind a waiting schema change."""
    session.execute(text(_LOCK_TIMEOUT))


def delete_old_results(
    session: Session, *, before: datetime, after_id: int, count: int
) -> tuple[int, int]:
    """Delete the outdated ones of the next `count` results by id (SQLite).

    Returns how many were deleted and the last id that was looked at. Results are stored
    nearly in the order of their age, so that the first chunk that holds none outdated
    is the last one worth a look; no index of moments is needed.
    """
    last_id = session.scalar(
        select(Result.id)
        .where(Result.id > after_id)
        .order_by(Result.id)
        .offset(count - 1)
        .limit(1)
    )
    if last_id is None:
        last_id = session.scalar(select(Result.id).order_by(Result.id.desc()).limit(1))
    if last_id is None:
        return 0, after_id
    deleted = session.execute(
        delete(Result).where(
            Result.id > after_id, Result.id <= last_id, Result.submitted_at < before
        )
    )
    return deleted.rowcount, last_id  # type: ignore[attr-defined]  # a cursor's result


def delete_stray_results(session: Session, *, before: datetime, count: int) -> int:
    """Delete up to `count` outdated results that lie in no day's partition."""
    statement = text(_DELETE_STRAYS).bindparams(bindparam("before", type_=UtcDateTime))
    deleted = session.execute(statement, {"before": before, "count": count})
    return deleted.rowcount  # type: ignore[attr-defined, no-any-return]  # a cursor's result


def delete_expired_logins(session: Session, *, now: datetime) -> int:
    """Delete the sessions that ended by themselves."""
    deleted = session.execute(delete(LoginSession).where(LoginSession.expires_at < now))
    return deleted.rowcount  # type: ignore[attr-defined, no-any-return]  # a cursor's result


def list_stranded(
    session: Session, *, now: datetime, margin: timedelta, count: int
) -> list[Stranded]:
    """Groups that are due later than a period from now, as after a clock was set back."""
    after = _AFTER_SQLITE if is_sqlite(session) else _AFTER_POSTGRESQL
    statement = text(_STRANDED.format(after=after)).bindparams(
        bindparam("now", type_=UtcDateTime)
    )
    rows = session.execute(
        statement, {"now": now, "margin_s": margin.total_seconds(), "count": count}
    )
    return [Stranded(*row) for row in rows]


def pull_back(session: Session, *, moves: Sequence[PullBack]) -> None:
    """Give groups a near place on the grid, unless they were leased meanwhile."""
    if moves:
        statement = text(_PULL_BACK.format(rows=_PULLED.sql(session)))
        session.execute(statement, _PULLED.parameters(session, moves))


def has_stalled_groups(session: Session) -> bool:
    """Whether runs of any group have ended without a report again and again."""
    return session.scalar(_STALLED_GROUPS.limit(1)) is not None


def lock_stalled_tasks(session: Session, *, count: int) -> dict[int, int | None]:
    """Tasks that show a result although their runs have long ended without a report.

    With how many of their last results have no row.
    """
    # First the groups, of which there are hardly any: on SQLite all tasks would be walked,
    # while nobody else can write.
    groups = session.scalars(_STALLED_GROUPS).all()
    if not groups:
        return {}
    rows = session.execute(
        select(Task.id, Task.left_out)
        .join(Schedule, Schedule.id == Task.group_id)
        .where(
            id_in(session, Task.group_id, groups),
            Schedule.expired_leases >= _LEAST,
            Task.severity != Severity.UNKNOWN,
            Task.archived_at.is_(None),
        )
        .order_by(Task.id)
        .limit(count)
        .with_for_update(key_share=True, of=Task)
    )
    return dict(rows.all())


def mark_unmeasured(session: Session, *, ids: Collection[int], now: datetime) -> None:
    """Show that nothing is known of tasks any more; nobody is told."""
    session.execute(
        update(Task)
        .where(id_in(session, Task.id, ids))
        .values(
            severity=Severity.UNKNOWN,
            severity_since=now,
            last_severity_update=now,
            last_status=Status.ERROR,
            completed_at=now,
            kept_at=None,
            left_out=None,
        )
    )
