"""The state that results move: what a batch of reports reads of tasks, and writes."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from argos.core.severity import Severity, Status
from argos.server.models import Task
from argos.server.queries.bulk import (
    RowSource,
    bound_ids,
    id_in,
    id_list,
    ids_parameter,
    is_sqlite,
    moment_reader,
    run,
)


class TaskRow(NamedTuple):
    """What of a task its results read and move."""

    id: int
    group_id: int | None
    url: str
    domain: str
    frequency: float
    check: str
    expected: str
    recheck_delay: float | None
    retry_before_notification: int
    add_alerts_recipients: str | None
    overwrite_alerts_recipients: str | None
    recoveries_before_notification: int
    confirm: bool
    archived_at: datetime | None
    severity: Severity
    severity_since: datetime | None
    completed_at: datetime | None
    last_status: Status | None
    contiguous_failures: int
    failing_since: datetime | None
    told_severity: Severity
    applied_lease_no: int
    event_count: int
    open_hour: int | None
    open_counts: bytes | None
    contiguous_successes: int
    run_history: int
    is_flapping: bool
    seen_by: str | None
    confirming_since: datetime | None
    doubted_agent: str | None
    doubted_since: datetime | None
    location: str | None
    quorum: int | None
    watch_key: bytes | None


class ScheduleRow(NamedTuple):
    """What of a task group its results read and move."""

    id: int
    key: bytes
    frequency: float
    next_run: datetime | None
    lease_no: int
    leased_by: str | None
    leased_at: datetime | None
    missed_runs: int
    open_hour: int | None
    open_latencies: bytes | None
    pool: int
    not_for: str | None
    not_at: str | None


class TaskMove(NamedTuple):
    """What a result makes of its task."""

    id: int
    severity: Severity
    severity_since: datetime
    completed_at: datetime
    last_status: Status
    contiguous_failures: int
    failing_since: datetime | None
    told_severity: Severity
    already_retried: bool
    applied_lease_no: int
    event_count: int
    open_hour: int | None = None
    open_counts: bytes | None = None


class ScheduleMove(NamedTuple):
    """What a finished run makes of its task group."""

    id: int
    next_run: datetime
    missed_runs: int
    open_hour: int | None = None
    open_latencies: bytes | None = None
    not_for: str | None = None
    not_at: str | None = None


# The tables' own columns: those of the classes go through the object-relational
# mapping, which takes as long as all the rest of the query.
_TASK_COLUMNS = [Task.__table__.c[name] for name in TaskRow._fields]

_TASK_MOVES = RowSource({
    "id": "bigint",
    "severity": "severity",
    "severity_since": "timestamptz",
    "completed_at": "timestamptz",
    "last_status": "status",
    "contiguous_failures": "integer",
    "failing_since": "timestamptz",
    "told_severity": "severity",
    "already_retried": "boolean",
    "applied_lease_no": "integer",
    "event_count": "integer",
    "open_hour": "integer",
    "open_counts": "bytea",
})
_SCHEDULE_MOVES = RowSource({
    "id": "bigint",
    "next_run": "timestamptz",
    "missed_runs": "integer",
    "open_hour": "integer",
    "open_latencies": "bytea",
    "not_for": "text",
    "not_at": "text",
})
_LOCK_SCHEDULES = f"""
SELECT {", ".join(ScheduleRow._fields)}
FROM schedule WHERE id {{in_ids}} ORDER BY id {{lock}}
"""  # noqa: S608  # names of columns
_MOVE_TASKS = """
UPDATE tasks SET
  severity = u.severity, severity_since = u.severity_since,
  last_severity_update = u.completed_at, completed_at = u.completed_at,
  last_status = u.last_status, contiguous_failures = u.contiguous_failures,
  failing_since = u.failing_since, told_severity = u.told_severity,
  already_retried = u.already_retried, applied_lease_no = u.applied_lease_no,
  event_count = u.event_count, kept_at = NULL, left_out = NULL,
  open_hour = u.open_hour, open_counts = u.open_counts
FROM {rows} WHERE tasks.id = u.id
"""
_MOVE_SCHEDULES = """
UPDATE schedule SET
  next_run = u.next_run, due_at = u.next_run, leased_at = NULL, expired_leases = 0,
  missed_runs = u.missed_runs, not_for = u.not_for, not_at = u.not_at,
  open_hour = u.open_hour, open_latencies = u.open_latencies
FROM {rows} WHERE schedule.id = u.id
"""


def lock_tasks(session: Session, *, ids: Collection[int]) -> dict[int, TaskRow]:
    """Tasks by id, locked in the order of their ids until the transaction ends."""
    if not ids:
        return {}
    statement = _lock_tasks(on_sqlite=is_sqlite(session))
    rows = session.execute(statement, {"ids": ids_parameter(session, ids)})
    return {row[0]: TaskRow._make(row) for row in rows}


@cache
def _lock_tasks(*, on_sqlite: bool) -> Select[Any]:
    return (
        select(*_TASK_COLUMNS)
        .where(bound_ids(Task.id, on_sqlite=on_sqlite))
        .order_by(Task.id)
        .with_for_update(key_share=True)
    )


def list_completed_at(session: Session, *, ids: Collection[int]) -> dict[int, datetime]:
    """When the runs that moved some tasks last were measured; unmoved ones left out."""
    columns = Task.__table__.c
    rows = session.execute(
        select(columns.id, columns.completed_at).where(
            id_in(session, columns.id, ids), columns.completed_at.is_not(None)
        )
    )
    return {row.id: row.completed_at for row in rows}


def lock_schedules(session: Session, *, ids: Collection[int]) -> dict[int, ScheduleRow]:
    """Schedule rows by id, locked in the order of their ids."""
    in_ids, parameters = id_list(session, sorted(ids))
    lock = "" if is_sqlite(session) else "FOR NO KEY UPDATE"
    to_moment = moment_reader(session)
    rows = run(session, _LOCK_SCHEDULES.format(in_ids=in_ids, lock=lock), parameters)
    return {
        row[0]: ScheduleRow._make((
            *row[:3],
            to_moment(row[3]),
            row[4],
            row[5],
            to_moment(row[6]),
            *row[7:],
        ))
        for row in rows
    }


def move_tasks(session: Session, *, moves: Sequence[TaskMove]) -> None:
    """Write what results made of their tasks."""
    _TASK_MOVES.write(session, _MOVE_TASKS, moves)


def move_schedules(session: Session, *, moves: Sequence[ScheduleMove]) -> None:
    """End the leases of finished runs, and plan the next ones."""
    _SCHEDULE_MOVES.write(session, _MOVE_SCHEDULES, moves)
