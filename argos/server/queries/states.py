"""What is remembered of tasks beside their severity: confirmation, flapping, doubt."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, select, text, update
from sqlalchemy.orm import Session

from argos.core.flapping import RunHistory
from argos.core.incident import Doubt, TaskState
from argos.core.schedule import LEASE_MARGIN
from argos.core.severity import Severity
from argos.server.models import Result, Schedule, Task
from argos.server.queries.bulk import RowSource, id_in
from argos.server.queries.results import TaskRow
from argos.server.queries.selection import IS_LAST_KEPT


class StateMove(NamedTuple):
    """What results made of a task's memory; most of them change nothing in it."""

    id: int
    contiguous_successes: int
    run_history: int
    is_flapping: bool
    seen_by: str | None
    confirming_since: datetime | None
    doubted_agent: str | None
    doubted_since: datetime | None


_STATE_MOVES = RowSource({
    "id": "bigint",
    "contiguous_successes": "integer",
    "run_history": "integer",
    "is_flapping": "boolean",
    "seen_by": "text",
    "confirming_since": "timestamptz",
    "doubted_agent": "text",
    "doubted_since": "timestamptz",
})
_MOVE_STATES = """
UPDATE tasks SET
  contiguous_successes = u.contiguous_successes, run_history = u.run_history,
  is_flapping = u.is_flapping, seen_by = u.seen_by,
  confirming_since = u.confirming_since, doubted_agent = u.doubted_agent,
  doubted_since = u.doubted_since
FROM {rows} WHERE tasks.id = u.id
"""


def read_state(task: TaskRow) -> TaskState:
    """The state that a task's row holds."""
    doubt = None
    if task.doubted_agent is not None and task.doubted_since is not None:
        doubt = Doubt(task.doubted_agent, task.doubted_since)
    return TaskState(
        told=task.told_severity,
        contiguous_failures=task.contiguous_failures,
        failing_since=task.failing_since,
        has_run=task.completed_at is not None,
        contiguous_successes=task.contiguous_successes,
        history=RunHistory(task.run_history),
        is_flapping=task.is_flapping,
        seen_by=task.seen_by,
        confirming_since=task.confirming_since,
        doubt=doubt,
    )


def state_move(task_id: int, state: TaskState) -> StateMove:
    """What a task's row is to hold of a state, beside what each result moves."""
    return StateMove(
        id=task_id,
        contiguous_successes=state.contiguous_successes,
        run_history=state.history.bits,
        is_flapping=state.is_flapping,
        seen_by=state.seen_by,
        confirming_since=state.confirming_since,
        doubted_agent=state.doubt.agent if state.doubt else None,
        doubted_since=state.doubt.since if state.doubt else None,
    )


def move_states(session: Session, *, moves: Sequence[StateMove]) -> None:
    """Write what results made of their tasks' memory."""
    if moves:
        statement = text(_MOVE_STATES.format(rows=_STATE_MOVES.sql(session)))
        session.execute(statement, _STATE_MOVES.parameters(session, moves))


def list_unanswered(
    session: Session, *, now: datetime, watched_since: datetime, count: int
) -> list[int]:
    """Tasks whose second opinion is due for longer than a lease of theirs lasts.

    While nobody watched, nobody could answer.
    """
    rows = session.execute(_unanswered(count), {"latest": now - LEASE_MARGIN})
    return [
        id_
        for id_, since, timeout_s in rows
        if since is not None
        and max(since, watched_since) + timedelta(seconds=timeout_s) + LEASE_MARGIN
        <= now
    ]


@cache
def _unanswered(count: int) -> Select[int, datetime | None, float]:
    return (
        select(Task.id, Task.confirming_since, Schedule.timeout_s)
        .join(Schedule, Schedule.id == Task.group_id)
        .where(
            Task.confirming_since.is_not(None),
            Task.confirming_since <= bindparam("latest"),
            Task.archived_at.is_(None),
        )
        .order_by(Task.confirming_since)
        .limit(count)
    )


def list_last_facts(
    session: Session, *, ids: Collection[int]
) -> dict[int, Mapping[str, Any]]:
    """What the last results of tasks found, by task."""
    if not ids:
        return {}
    rows = session.execute(
        select(Result.task_id, Result.context)
        .join(Task, IS_LAST_KEPT)
        .where(id_in(session, Task.id, ids))
    )
    return {task_id: facts for task_id, facts in rows if isinstance(facts, dict)}


def list_doubtful_results(
    session: Session, *, ids: Collection[int]
) -> dict[int, tuple[Severity, str | None, Mapping[str, Any]]]:
    """The results for which another agent was asked, by task: how bad, who, and facts."""
    if not ids:
        return {}
    rows = session.execute(
        select(Result.task_id, Result.severity, Result.agent_id, Result.context)
        .join(Task, Task.id == Result.task_id)
        .where(
            id_in(session, Task.id, ids), Result.submitted_at == Task.confirming_since
        )
    )
    return {
        task_id: (severity, agent, facts if isinstance(facts, dict) else {})
        for task_id, severity, agent, facts in rows
    }


def list_seen_by(session: Session, *, agent: str, count: int) -> list[int]:
    """Untold tasks whose failures in a row were seen by one agent alone."""
    return list(
        session.scalars(
            select(Task.id)
            .where(
                Task.severity != Severity.OK,
                Task.seen_by == agent,
                Task.told_severity == Severity.OK,
                Task.archived_at.is_(None),
            )
            .limit(count)
        )
    )


def withdraw_severities(session: Session, *, ids: Collection[int]) -> None:
    """Show tasks as not measured: nobody who is to be believed has looked."""
    if ids:
        session.execute(
            update(Task)
            .where(id_in(session, Task.id, ids))
            .values(
                severity=Severity.UNKNOWN, contiguous_failures=0, failing_since=None
            )
        )
