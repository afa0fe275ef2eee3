"""Results, stored: each once, whoever reports it how often."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from argos.core.severity import Severity, Status
from argos.server.queries.bulk import NATIVE, RowSource, is_sqlite, run, write_chunks

PROMPT = timedelta(seconds=10)
"""A result that comes in within this time of its measurement came at once."""


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


class RunResults(NamedTuple):
    """Results of one run that are all ok, each of another task, to be stored."""

    task_ids: Sequence[int]
    contexts: Sequence[str]
    """JSON texts, one of each task."""
    agent_id: str
    submitted_at: datetime
    received_at: datetime
    timings: Sequence[int | None]
    """In the order of `NewResult`; empty: there are none."""

    def each(self) -> Iterator[NewResult]:
        """The results, one by one; the first one says for all how long they took.

        `queries.run_times` finds it.
        """
        timings = self.timings
        for task_id, context in zip(self.task_ids, self.contexts, strict=True):
            yield NewResult(
                task_id,
                self.agent_id,
                self.submitted_at,
                self.received_at,
                Status.SUCCESS,
                Severity.OK,
                context,
                False,
                False,
                *timings,
            )
            timings = ()


class Stored(NamedTuple):
    """What became of a result that was to be stored."""

    id: int
    is_new: bool
    """Whether it was not there already."""


class StoredRun(NamedTuple):
    """The same of the results of a run."""

    ids: Sequence[int]
    are_new: Sequence[bool]


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
_RESULT_KEYS = RowSource({"task_id": "bigint", "submitted_at": "timestamptz"})

_moment, _name = NATIVE["timestamptz"], NATIVE["status"]
_COLUMNS = ", ".join(NewResult._fields)
_ADD_RESULTS = f"""
INSERT INTO results ({_COLUMNS}) SELECT {_COLUMNS} FROM {{rows}}
ON CONFLICT (task_id, submitted_at) DO NOTHING
RETURNING task_id, id
"""  # noqa: S608  # names of columns
_ADD_SQLITE = f"""
INSERT INTO results ({_COLUMNS}) VALUES {{values}}
ON CONFLICT (task_id, submitted_at) DO NOTHING
"""  # noqa: S608  # names of columns
_ADD_RUN_SQLITE = f"""
INSERT INTO results (
  agent_id, submitted_at, received_at, {", ".join(_TIMINGS)}, status, severity,
  task_id, context)
VALUES {{values}}
ON CONFLICT (task_id, submitted_at) DO NOTHING
"""  # noqa: S608  # names of columns
_SHARED = 3 + len(_TIMINGS)
"""So many values are said once of a run."""
_WELL = f"'{Status.SUCCESS}', '{Severity.OK}'"
_FIND_RESULTS = """
SELECT r.task_id, r.id FROM {rows}
JOIN results r ON r.task_id = u.task_id AND r.submitted_at = u.submitted_at
"""
_Keys = Sequence[tuple[int, datetime]]
"""Of results: their tasks, and when they were measured."""


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


def add_run_results(session: Session, *, runs: Sequence[RunResults]) -> list[StoredRun]:
    """The same of runs, each of other tasks.

    SQLite is told once what the results of a run have in common.
    """
    places = sorted(range(len(runs)), key=lambda place: _size(runs[place]))
    ordered = [runs[place] for place in places]
    if is_sqlite(session):
        parts = [
            (partial(_run_sql, size), [_run_row(one) for one in alike])
            for size, alike in groupby(ordered, _size)
        ]
        keys = [(id_, one.submitted_at) for one in ordered for id_ in one.task_ids]
        ids, are_new = _add_to_sqlite(session, keys, parts)
    else:
        results = [each for one in ordered for each in one.each()]
        ids, are_new = _parted(_add_single(session, results))
    stored = {}
    begin = 0
    for place in places:
        end = begin + _size(runs[place])
        stored[place] = StoredRun(ids[begin:end], are_new[begin:end])
        begin = end
    return [stored[place] for place in range(len(runs))]


def _parted(stored: Sequence[Stored]) -> StoredRun:
    return StoredRun([one.id for one in stored], [one.is_new for one in stored])


def _add_single(session: Session, results: Sequence[NewResult]) -> list[Stored]:
    if not results:
        return []
    keys = [(result.task_id, result.submitted_at) for result in results]
    if is_sqlite(session):
        native = list(_rows(results, moment=_moment, name=_name))
        parts = [(_single_sql, native)]
        return list(map(Stored, *_add_to_sqlite(session, keys, parts)))
    rows = list(_rows(results, moment=_as_it_is, name=_as_it_is))
    sql = _ADD_RESULTS.format(rows=_NEW_RESULTS.sql(session))
    added = run(session, sql, _NEW_RESULTS.parameters(session, rows))
    return _tell(session, keys, dict(added))


def _add_to_sqlite(
    session: Session,
    keys: _Keys,
    parts: Sequence[tuple[Callable[[int], str], Sequence[Any]]],
) -> StoredRun:
    """Write by statements, each for its rows; the keys are in the order of all rows.

    So are the numbers that SQLite gives: nobody else writes meanwhile.
    """
    [(last_id,)] = run(session, "SELECT coalesce(max(id), 0) FROM results", {})
    connection = session.connection()
    added = sum(write_chunks(connection, sql, rows) for sql, rows in parts)
    if added == len(keys):
        return StoredRun(range(last_id + 1, last_id + 1 + added), (True,) * added)
    new = "SELECT task_id, id FROM results WHERE id > :last_id"
    return _parted(_tell(session, keys, dict(run(session, new, {"last_id": last_id}))))


def _tell(session: Session, keys: _Keys, added: Mapping[int, int]) -> list[Stored]:
    """What became of results, of another task each, of which some were added."""
    ids = added
    if len(added) < len(keys):
        sql = _FIND_RESULTS.format(rows=_RESULT_KEYS.sql(session))
        ids = dict(run(session, sql, _RESULT_KEYS.parameters(session, keys)))
    return [Stored(ids[task_id], task_id in added) for task_id, _ in keys]


def _rows(
    results: Sequence[NewResult],
    *,
    moment: Callable[[datetime | None], Any],
    name: Callable[[str], Any],
) -> Iterator[tuple[Any, ...]]:
    """Results as they are stored: what goes without saying takes no room."""
    seen: tuple[datetime, datetime] | None = None
    moments: tuple[Any, Any] = (None, None)
    for result in results:
        if result[2:4] != seen:  # the checks of a run have the same
            seen = result[2:4]
            moments = _moments(*seen, moment)
        yield (
            *result[:2],
            *moments,
            name(result.status),
            name(result.severity),
            _stored_context(result.context),
            result.is_late or None,
            result.in_maintenance or None,
            *_stored_timings(result[9:16]),
            result.left_out or None,
        )


def _size(results: RunResults) -> int:
    return len(results.task_ids)


@lru_cache(maxsize=64)
def _run_sql(size: int, count: int) -> str:
    """A statement that adds so many runs of so many tasks, each by a `_run_row`."""
    values: list[str] = []
    for row in range(count):
        begin = 1 + row * (_SHARED + 2 * size)
        shared = [f"?{place}" for place in range(begin, begin + _SHARED)]
        first = begin + _SHARED
        for task in range(first, first + size):
            words = [*shared, _WELL, f"?{task}", f"?{task + size}"]
            values.append(f"({', '.join(words)})")
            shared[-len(_TIMINGS) :] = ["NULL"] * len(_TIMINGS)
    return _ADD_RUN_SQLITE.format(values=", ".join(values))


@lru_cache(maxsize=8)
def _single_sql(count: int) -> str:
    values = ", ".join([f"({', '.join('?' * len(NewResult._fields))})"] * count)
    return _ADD_SQLITE.format(values=values)


def _run_row(results: RunResults) -> tuple[Any, ...]:
    return (
        results.agent_id,
        *_moments(results.submitted_at, results.received_at, _moment),
        *_stored_timings(results.timings),
        *results.task_ids,
        *[None if context == "{}" else context for context in results.contexts],
    )


def _moments(
    submitted_at: datetime,
    received_at: datetime,
    moment: Callable[[datetime | None], Any],
) -> tuple[Any, Any]:
    is_prompt = abs(received_at - submitted_at) <= PROMPT
    return moment(submitted_at), moment(None if is_prompt else received_at)


def _stored_context(context: str) -> str | None:
    return None if context == "{}" else context


def _stored_timings(timings: Sequence[int | None]) -> Sequence[int | None]:
    if not timings:
        return [None] * len(_TIMINGS)
    return [*timings[:-1], timings[-1] or None]


def _as_it_is(value: Any) -> Any:
    return value
