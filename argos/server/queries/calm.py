"""Tasks that are well, and stay so: most results change next to nothing of a task."""

from collections.abc import Collection, Container, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from argos.core.flapping import FULL
from argos.core.severity import Severity, Status
from argos.server.queries.bulk import RowSource, id_list, is_sqlite, run


class Glance(NamedTuple):
    """What of a task every result of it needs."""

    id: int
    group_id: int | None
    domain: str
    check: str
    expected: str
    is_archived: bool
    applied_lease_no: int
    open_hour: int | None
    open_counts: bytes | None
    is_calm: bool
    """One more result that is ok changes nothing but when the task was last ok, and the
    history of its runs."""
    kept_facts: int | None
    left_out: int | None
    """None: the last row stands for no other results."""
    unbroken_since: int | None
    earlier_leases: bytes | None


class Span(NamedTuple):
    """What calm tasks of a group have in common that are alike, know nothing of results
    without rows, and have ids that follow one another."""

    group_id: int
    domain: str
    applied_lease_no: int
    open_hour: int | None
    open_counts: bytes | None
    checks: Sequence[str]
    """Of each of the tasks."""


IdRange = tuple[int, int]
"""The first and the last of some ids that follow one another."""


class CalmMove(NamedTuple):
    """What an ok result makes of a calm task."""

    id: int
    completed_at: datetime
    applied_lease_no: int
    open_hour: int | None = None
    open_counts: bytes | None = None


# `read_state` of such a row is a state of which `advance` by an ok result changes nothing
# but the history, to which it adds a run, as `_PUSHED` does.
IS_CALM = f"""
  severity = '{Severity.OK}' AND last_status = '{Status.SUCCESS}'
  AND severity_since IS NOT NULL AND completed_at IS NOT NULL
  AND told_severity = '{Severity.OK}' AND contiguous_failures = 0
  AND failing_since IS NULL AND contiguous_successes = 0 AND NOT already_retried
  AND NOT is_flapping AND seen_by IS NULL
  AND confirming_since IS NULL AND doubted_agent IS NULL
"""
_PUSHED = (
    f"CASE WHEN tasks.run_history < {FULL} THEN tasks.run_history << 1"
    f" ELSE ((tasks.run_history << 1) & {FULL - 1}) | {FULL} END"
)
_LOCK_TASKS = f"""
SELECT id, group_id, domain, "check", expected, archived_at IS NOT NULL,
  applied_lease_no, open_hour, open_counts, ({IS_CALM}),
  kept_facts, left_out, unbroken_since, earlier_leases
FROM tasks WHERE id {{in_ids}} ORDER BY id {{lock}}
"""  # noqa: S608  # constants of ours
# Each column of each row costs as much as all the rest that SQLite does for a row. The +
# keeps it from looking the group up, too.
_LIST_SPANS = f"""
SELECT u.first_id, u.last_id,
  f.group_id, f.domain, f.applied_lease_no, f.open_hour, f.open_counts,
  (SELECT group_concat(a."check") FROM (
    SELECT "check" FROM tasks t
    WHERE id BETWEEN u.first_id AND u.last_id
      AND +group_id = f.group_id AND applied_lease_no = f.applied_lease_no
      AND open_hour IS f.open_hour AND open_counts IS f.open_counts
      AND archived_at IS NULL AND unbroken_since IS NULL AND coalesce(left_out, 0) = 0
      AND {IS_CALM}
    ORDER BY id) AS a)
FROM {{rows}} CROSS JOIN tasks f ON f.id = u.first_id
"""  # noqa: S608  # constants of ours
_LIST_EXPECTED = "SELECT id, expected FROM tasks WHERE id {in_ids}"
_ID_RANGES = RowSource({"first_id": "bigint", "last_id": "bigint"})
_MOVES = RowSource({
    "id": "bigint",
    "completed_at": "timestamptz",
    "applied_lease_no": "integer",
    "open_hour": "integer",
    "open_counts": "bytea",
})
_STANDING_MOVES = RowSource({**_MOVES.columns, "kept_facts": "bigint"})
_MOVE_TASKS = f"""
UPDATE tasks SET
  completed_at = u.completed_at, last_severity_update = u.completed_at,
  applied_lease_no = u.applied_lease_no, run_history = {_PUSHED},
  open_hour = u.open_hour, open_counts = u.open_counts, {{kept}}
FROM {{rows}} WHERE tasks.id = u.id
"""  # noqa: S608  # constants of ours
_RANGES = RowSource({
    "completed_at": "timestamptz",
    "applied_lease_no": "integer",
    "open_hour": "integer",
    "open_counts": "bytea",
    "first_id": "bigint",
    "last_id": "bigint",
})
_ALONE = _MOVE_TASKS.replace("{kept}", "kept_at = NULL, left_out = NULL")
_RANGES_ALONE = _ALONE.replace(
    "tasks.id = u.id", "tasks.id BETWEEN u.first_id AND u.last_id"
)
_LEFT_OUT = _MOVE_TASKS.replace("{kept}", "left_out = tasks.left_out + 1")
_STANDING = _MOVE_TASKS.replace(
    "{kept}", "kept_at = u.completed_at, left_out = 0, kept_facts = u.kept_facts"
)
_LOG_MOVES = RowSource({
    "id": "bigint",
    "unbroken_since": "integer",
    "earlier_leases": "bytea",
})
_MOVE_LOGS = """
UPDATE tasks SET
  unbroken_since = u.unbroken_since, earlier_leases = u.earlier_leases
FROM {rows} WHERE tasks.id = u.id
"""


def lock_tasks(session: Session, *, ids: Collection[int]) -> dict[int, Glance]:
    """Tasks by id, locked in the order of their ids until the transaction ends."""
    in_ids, parameters = id_list(session, sorted(ids))
    lock = "" if is_sqlite(session) else "FOR NO KEY UPDATE"
    rows = run(session, _LOCK_TASKS.format(in_ids=in_ids, lock=lock), parameters)
    return {row[0]: Glance._make(row) for row in rows}


def lock_spans(
    session: Session, *, ranges: Sequence[IdRange]
) -> tuple[dict[IdRange, Span], dict[int, Glance]]:
    """Lock the tasks of some ranges; the spans among these, and tasks that were read.

    SQLite, which locks nothing, reads no tasks but what spans need of them.
    """
    if not is_sqlite(session):
        ids = {id_ for first, last in ranges for id_ in range(first, last + 1)}
        tasks = lock_tasks(session, ids=ids)
        found = {range_: _find_span(tasks, *range_) for range_ in ranges}
        return {range_: span for range_, span in found.items() if span}, tasks
    sql = _LIST_SPANS.format(rows=_ID_RANGES.sql(session))
    spans: dict[IdRange, Span] = {}
    for first, last, group_id, domain, lease_no, hour, counts, checks in run(
        session, sql, _ID_RANGES.parameters(session, ranges)
    ):
        names = checks.split(",") if checks else ()
        if len(names) == last - first + 1:
            span = Span(group_id, domain, lease_no, hour, counts, names)
            spans[first, last] = span
    return spans, {}


def _find_span(tasks: Mapping[int, Glance], first: int, last: int) -> Span | None:
    found = [tasks[id_] for id_ in range(first, last + 1) if id_ in tasks]
    if len(found) < last - first + 1 or len(set(map(_likeness, found))) > 1:
        return None
    one = found[0]
    if one.group_id is None or one.is_archived or not one.is_calm or not is_plain(one):
        return None
    checks = [task.check for task in found]
    return Span(
        one.group_id, one.domain, one.applied_lease_no, one.open_hour, one.open_counts,
        checks,
    )  # fmt: skip


def _likeness(task: Glance) -> tuple[Any, ...]:
    return (
        task.group_id, task.domain, task.applied_lease_no, task.open_hour,
        task.open_counts, task.is_archived, task.is_calm, is_plain(task),
    )  # fmt: skip


def is_plain(task: Glance) -> bool:
    """Whether a task knows nothing of results without rows: most never do."""
    return task.unbroken_since is None and not task.left_out


def list_expected(session: Session, *, ids: Collection[int]) -> dict[int, str]:
    """What the checks of some tasks expect."""
    in_ids, parameters = id_list(session, sorted(ids))
    return dict(run(session, _LIST_EXPECTED.format(in_ids=in_ids), parameters))


class RangeMove(NamedTuple):
    """The same of calm tasks whose ids follow one another, and that were alike."""

    completed_at: datetime
    applied_lease_no: int
    open_hour: int | None
    open_counts: bytes | None
    first_id: int
    last_id: int


class LogMove(NamedTuple):
    """What a result makes of a task's `LeaseLog`; most leave it as it is."""

    id: int
    unbroken_since: int | None
    earlier_leases: bytes | None


def move_calm_tasks(
    session: Session,
    *,
    moves: Sequence[CalmMove],
    left_out: Container[int] = (),
    standing: Mapping[int, int | None] | None = None,
) -> None:
    """Write when calm tasks were last ok.

    `left_out` are those whose result has no row, `standing` those whose row stands for
    the next ones that are like it, with the fingerprint of its facts.
    """
    standing = standing or {}
    alone, without_row, with_row = [], [], []
    for move in moves:
        if move.id in left_out:
            without_row.append(move)
        elif move.id in standing:
            with_row.append((*move, standing[move.id]))
        else:
            alone.append(move)
    _MOVES.write(session, _ALONE, alone)
    _MOVES.write(session, _LEFT_OUT, without_row)
    _STANDING_MOVES.write(session, _STANDING, with_row)


def move_ranges(session: Session, *, moves: Sequence[RangeMove]) -> None:
    """Write when calm tasks were last ok, whose results stand for themselves alone."""
    if is_sqlite(session):
        _RANGES.write(session, _RANGES_ALONE, moves)
        return
    # PostgreSQL has no good plan for the ranges of a batch.
    alone = [
        CalmMove(id_, *move[:4])
        for move in moves
        for id_ in range(move.first_id, move.last_id + 1)
    ]
    _MOVES.write(session, _ALONE, alone)


def move_logs(session: Session, *, moves: Sequence[LogMove]) -> None:
    """Write which leases of tasks are over."""
    _LOG_MOVES.write(session, _MOVE_LOGS, moves)
