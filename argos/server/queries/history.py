"""What became of one website, task or result over time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from argos.core.severity import Severity, Status
from argos.server.models import Result, Task, Website
from argos.server.queries.run_times import PHASE_COLUMNS, list_holders, list_times
from argos.server.queries.selection import (
    HAS_TRUSTWORTHY_TIME,
    IS_LAST_KEPT,
    bucket_of,
    fetch,
)

MAX_WEBSITE_TASKS = 500
"""More checks than this no page can show in a useful way."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A check of a website, in the table of its page."""

    id: int
    url: str
    method: str
    ip_version: str
    check: str
    expected: str
    severity: Severity
    since: datetime | None
    completed_at: datetime | None
    archived_at: datetime | None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A result, as pages show it."""

    id: int
    task_id: int
    agent_id: str | None
    submitted_at: datetime
    received_at: datetime | None
    status: Status
    severity: Severity
    context: Mapping[str, Any]
    is_late: bool
    phases: Sequence[int | None]
    """DNS, connect, TLS, first byte, transfer, in microseconds."""
    total_us: int | None
    left_out: int | None
    """How many results between the one before and this one were not kept."""


@dataclass(frozen=True, slots=True)
class PhaseSample:
    """The phases of the probes in one stretch of time, on average."""

    bucket: int
    count: int
    phases: Sequence[float]
    """DNS, connect, TLS, first byte, transfer, in microseconds; 0: did not happen."""
    p95_us: float


_RESULT_COLUMNS = (
    Result.id,
    Result.task_id,
    Result.agent_id,
    Result.submitted_at,
    Result.received_at,
    Result.status,
    Result.severity,
    Result.context,
    Result.is_late,
    *PHASE_COLUMNS,
    Result.total_us,
    Result.left_out,
)
_PHASES = slice(9, 14)


def list_websites_of(session: Session, *, host: str) -> Sequence[Website]:
    """The websites with exactly this host; those of the config first."""
    return session.scalars(
        select(Website)
        .where(Website.host == host)
        .order_by(Website.archived_at.is_not(None), Website.id)
    ).all()


def list_website_tasks(
    session: Session, *, website_ids: Sequence[int], archived: bool = False
) -> Sequence[TaskRow]:
    """The checks of some websites, in the order of the config."""
    rows = fetch(
        session,
        select(
            Task.id,
            Task.url,
            Task.method,
            Task.ip_version,
            Task.check,
            Task.expected,
            Task.severity,
            Task.severity_since,
            Task.completed_at,
            Task.archived_at,
            Task.location,
        )
        .where(
            Task.website_id.in_(website_ids),
            Task.archived_at.is_not(None) if archived else Task.archived_at.is_(None),
        )
        .order_by(Task.id)
        .limit(MAX_WEBSITE_TASKS),
    )
    return [TaskRow(*row) for row in rows]


def get_task(session: Session, *, task_id: int) -> Task | None:
    """The task, with its schedule and its website."""
    return session.get(Task, task_id)


def get_website(session: Session, *, website_id: int | None) -> Website | None:
    """The website, if the task still belongs to one."""
    return session.get(Website, website_id) if website_id is not None else None


def list_results(
    session: Session,
    *,
    task_id: int,
    before: datetime | None = None,
    limit: int = 100,
) -> Sequence[ResultRow]:
    """Results of a task, newest first; one more than `limit` tells of a next page."""
    statement = (
        select(*_RESULT_COLUMNS)
        .where(Result.task_id == task_id)
        .order_by(Result.submitted_at.desc())
        .limit(limit + 1)
    )
    if before is not None:
        statement = statement.where(Result.submitted_at < before)
    return _with_times(session, map(_result_row, session.execute(statement)))


def get_result(session: Session, *, result_id: int) -> ResultRow | None:
    """The result of this id."""
    row = session.execute(
        select(*_RESULT_COLUMNS).where(Result.id == result_id)
    ).first()
    return _first(session, row)


def get_last_result(
    session: Session,
    *,
    task_id: int,
    before: datetime | None = None,
    severity: Severity | None = None,
) -> ResultRow | None:
    """The newest result of a task: before a moment, of a severity, where given."""
    statement = (
        select(*_RESULT_COLUMNS)
        .where(Result.task_id == task_id)
        .order_by(Result.submitted_at.desc())
        .limit(1)
    )
    if before is not None:
        statement = statement.where(Result.submitted_at < before)
    if severity is not None:
        statement = statement.where(Result.severity == severity)
    return _first(session, session.execute(statement).first())


def count_like(session: Session, *, task: Task, result: ResultRow) -> int:
    """How many results that followed one were like it, and thus not kept."""
    if result.is_late or result.severity is not Severity.OK:
        return 0
    if task.kept_at == result.submitted_at:
        return task.left_out or 0
    following = session.scalars(
        select(Result.left_out)
        .where(
            Result.task_id == task.id,
            Result.submitted_at > result.submitted_at,
            Result.is_late.is_(None),
        )
        .order_by(Result.submitted_at)
        .limit(1)
    )
    return following.first() or 0


def is_thinned(session: Session, *, task_id: int, since: datetime) -> bool:
    """Whether not all results of a task since a moment were kept."""
    has_gap = select(Result.id).where(
        Result.task_id == task_id,
        Result.submitted_at >= since,
        Result.left_out.is_not(None),
    )
    found = session.scalar(
        select(or_(Task.left_out.is_not(None), has_gap.exists())).where(
            Task.id == task_id
        )
    )
    return bool(found)


def list_newest_results(
    session: Session, *, task_ids: Sequence[int]
) -> dict[int, ResultRow]:
    """The newest kept result of each of some tasks that counted; without its times."""
    rows = session.execute(
        select(*_RESULT_COLUMNS).join(Task, IS_LAST_KEPT).where(Task.id.in_(task_ids))
    )
    return {row.task_id: _result_row(row) for row in rows}


def list_phase_samples(
    session: Session, *, task_id: int, since: datetime, width: timedelta
) -> Sequence[PhaseSample]:
    """Average phases and the 95th percentile of a task, stretch by stretch.

    Of times that can be trusted; see `core.probe.is_time_trustworthy`.
    """
    runs = (
        select(Result.submitted_at, Result.agent_id, *PHASE_COLUMNS, Result.total_us)
        .where(
            Result.task_id.in_(list_holders(session, task_id=task_id)),
            Result.submitted_at >= since,
            HAS_TRUSTWORTHY_TIME,
        )
        .distinct()  # several results of one run may say the same
        .subquery()
    )
    bucket = bucket_of(session, runs.c.submitted_at, since=since, width=width)
    timed = select(
        bucket.label("bucket"),
        runs,
        func
        .cume_dist()
        .over(partition_by=bucket, order_by=runs.c.total_us)
        .label("share"),
    ).subquery()
    averages = [
        func.avg(func.coalesce(timed.c[column.key], 0)) for column in PHASE_COLUMNS
    ]
    rows = session.execute(
        select(
            timed.c.bucket,
            func.count(),
            *averages,
            func.min(case((timed.c.share >= 0.95, timed.c.total_us))),
        )
        .group_by(timed.c.bucket)
        .order_by(timed.c.bucket)
    )
    return [
        PhaseSample(
            bucket=row[0],
            count=row[1],
            phases=tuple(float(value) for value in row[2:7]),
            p95_us=float(row[7]),
        )
        for row in rows
    ]


def _first(session: Session, row: Any) -> ResultRow | None:
    found = _with_times(session, [_result_row(row)] if row else [])
    return found[0] if found else None


def _with_times(session: Session, found: Iterable[ResultRow]) -> list[ResultRow]:
    """Results of one task, in the order of time; what says it for them has their times."""
    rows = list(found)
    moments = [row.submitted_at for row in rows if row.total_us is None]
    if not moments:
        return rows
    times = list_times(
        session, task_id=rows[0].task_id, since=min(moments), until=max(moments)
    )
    for place, row in enumerate(rows):
        of_run = times.get((row.submitted_at, row.agent_id))
        if row.total_us is None and of_run is not None:
            rows[place] = replace(row, phases=of_run[:-1], total_us=of_run[-1])
    return rows


def _result_row(row: Any) -> ResultRow:
    values: tuple[Any, ...] = tuple(row)
    context = values[7] if isinstance(values[7], dict) else {}
    return ResultRow(
        id=values[0],
        task_id=values[1],
        agent_id=values[2],
        submitted_at=values[3],
        received_at=values[4],
        status=values[5],
        severity=values[6],
        context=context,
        is_late=values[8],
        phases=values[_PHASES],
        total_us=values[14],
        left_out=values[15],
    )
