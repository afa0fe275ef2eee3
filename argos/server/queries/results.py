"""Results and the state that they move: what a batch of reports reads and writes."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count, repeat
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from argos.core.severity import Severity, Status
from argos.server.models import Task
from argos.server.queries.bulk import (
    NATIVE,
    RowSource,
    id_in,
    id_list,
    is_sqlite,
    moment_reader,
    run,
)

PROMPT = timedelta(seconds=10)
"""A result that comes in within this time of its measurement came at once."""


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


class NewResult(NamedTuple):
    """A result to be stored."""

    task_id: int
    agent_id: str | None
    """None: we say so ourselves."""
    submitted_at: datetime
    received_at: datetime
    status: Status
    severity: Severity
    context: str
    """JSON text, without NUL and lone surrogates."""
    is_late: bool
    in_maintenance: bool = False
    """Whoever plans maintenance sets it; the rollups count it apart."""
    dns_us: int | None = None
    connect_us: int | None = None
    tls_us: int | None = None
    first_byte_us: int | None = None
    transfer_us: int | None = None
    total_us: int | None = None
    timing_error_us: int | None = None
    left_out: int | None = None
    """How many of its task's results before it have no row."""


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


class Stored(NamedTuple):
    """What became of a result that was to be stored."""

    id: int
    is_new: bool
    """Whether it was not there already."""


# The tables' own columns: those of the classes go through the object-relational
# mapping, which takes as long as all the rest of the query.
_TASK_COLUMNS = [Task.__table__.c[name] for name in TaskRow._fields]

_TIMINGS = {name: "integer" for name in NewResult._fields if name.endswith("_us")}
_NEW_RESULTS = RowSource({
    "task_id": "bigint",
    "agent_id": "text",
    "submitted_at": "timestamptz",
    "received_at": "timestamptz",
    "status": "status",
    "severity": "severity",
    "context": "jsonb",
    "is_late": "boolean",
    "in_maintenance": "boolean",
    **_TIMINGS,
    "left_out": "integer",
})
_moment, _name = NATIVE["timestamptz"], NATIVE["status"]
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
_RESULT_KEYS = RowSource({"task_id": "bigint", "submitted_at": "timestamptz"})

_LOCK_SCHEDULES = f"""
SELECT {", ".join(ScheduleRow._fields)}
FROM schedule WHERE id {{in_ids}} ORDER BY id {{lock}}
"""  # noqa: S608  # names of columns
_COLUMNS = ", ".join(NewResult._fields)
_ADD_RESULTS = f"""
INSERT INTO results ({_COLUMNS}) SELECT {_COLUMNS} FROM {{rows}}
ON CONFLICT (task_id, submitted_at) DO NOTHING
RETURNING task_id, id
"""  # noqa: S608  # names of columns
_ADD_RESULTS_SQLITE = f"""
INSERT INTO results (id, {_COLUMNS})
VALUES (?{", ?" * len(NewResult._fields)})
ON CONFLICT (task_id, submitted_at) DO NOTHING
"""  # noqa: S608  # names of columns
_FIND_RESULTS = """
SELECT r.task_id, r.id FROM {rows}
JOIN results r ON r.task_id = u.task_id AND r.submitted_at = u.submitted_at
"""
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
    rows = session.execute(
        select(*_TASK_COLUMNS)
        .where(id_in(session, Task.id, ids))
        .order_by(Task.id)
        .with_for_update(key_share=True)
    )
    return {row[0]: TaskRow._make(row) for row in rows}


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


def add_results(session: Session, *, results: Sequence[NewResult]) -> list[Stored]:
    """Store results, each once; one that is there already has its id as well."""
    if len({result.task_id for result in results}) == len(results):
        return _add_single(session, results)
    stored: dict[int, Stored] = {}
    left = list(enumerate(results))
    while left:
        # By its task a result is known, as long as the task has no other beside it.
        single: dict[int, tuple[int, NewResult]] = {}
        for place, result in left:
            single.setdefault(result.task_id, (place, result))
        added = _add_single(session, [result for _, result in single.values()])
        places = [place for place, _ in single.values()]
        stored |= zip(places, added, strict=True)
        left = [(place, result) for place, result in left if place not in stored]
    return [stored[place] for place in range(len(results))]


def _add_single(session: Session, results: Sequence[NewResult]) -> list[Stored]:
    if not results:
        return []
    if is_sqlite(session):
        [(last_id,)] = run(session, "SELECT coalesce(max(id), 0) FROM results", {})
        if _add_to_sqlite(session, results, last_id=last_id) == len(results):
            new_ids = range(last_id + 1, last_id + 1 + len(results))
            return list(map(Stored, new_ids, repeat(True)))
        new = "SELECT task_id, id FROM results WHERE id > :last_id"
        added = dict(run(session, new, {"last_id": last_id}))
    else:
        rows = list(_rows(results, repeat(()), moment=_as_it_is, name=_as_it_is))
        sql = _ADD_RESULTS.format(rows=_NEW_RESULTS.sql(session))
        added = dict(run(session, sql, _NEW_RESULTS.parameters(session, rows)))
    ids = added if len(added) == len(results) else _find(session, results)
    return [Stored(ids[result.task_id], result.task_id in added) for result in results]


def _add_to_sqlite(
    session: Session, results: Sequence[NewResult], *, last_id: int
) -> int:
    """Number the rows ourselves: nobody else writes meanwhile; return how many came."""
    ids = ((id_,) for id_ in count(last_id + 1))
    rows = list(_rows(results, ids, moment=_moment, name=_name))
    return session.connection().exec_driver_sql(_ADD_RESULTS_SQLITE, rows).rowcount


def _rows(
    results: Sequence[NewResult],
    ids: Iterable[tuple[int, ...]],
    *,
    moment: Callable[[datetime | None], Any],
    name: Callable[[str], Any],
) -> Iterator[tuple[Any, ...]]:
    """Results as they are stored: what goes without saying takes no room."""
    seen: tuple[datetime, datetime] | None = None
    moments: tuple[Any, Any] = (None, None)
    for id_, result in zip(ids, results, strict=False):
        if result[2:4] != seen:  # the checks of a run have the same
            seen = submitted_at, received_at = result[2:4]
            is_prompt = abs(received_at - submitted_at) <= PROMPT
            moments = moment(submitted_at), moment(None if is_prompt else received_at)
        context = result.context
        yield (
            *id_,
            *result[:2],
            *moments,
            name(result.status),
            name(result.severity),
            None if context == "{}" else context,
            result.is_late or None,
            result.in_maintenance or None,
            *result[9:15],
            result.timing_error_us or None,
            result.left_out or None,
        )


def _as_it_is(value: Any) -> Any:
    return value


def _find(session: Session, results: Sequence[NewResult]) -> dict[int, int]:
    keys = [(result.task_id, result.submitted_at) for result in results]
    sql = _FIND_RESULTS.format(rows=_RESULT_KEYS.sql(session))
    return dict(run(session, sql, _RESULT_KEYS.parameters(session, keys)))


def move_tasks(session: Session, *, moves: Sequence[TaskMove]) -> None:
    """Write what results made of their tasks."""
    _TASK_MOVES.write(session, _MOVE_TASKS, moves)


def move_schedules(session: Session, *, moves: Sequence[ScheduleMove]) -> None:
    """End the leases of finished runs, and plan the next ones."""
    _SCHEDULE_MOVES.write(session, _MOVE_SCHEDULES, moves)
