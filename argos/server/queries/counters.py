"""Counts of tasks and results."""

from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from argos.server.models import Result, Schedule, Task
from argos.server.queries import remembered
from argos.server.queries.bulk import is_sqlite


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """How many tasks are leased, and how many are not."""

    upcoming: int
    selected: int


def count_tasks(session: Session) -> TaskCounts:
    """Tasks by whether an agent holds them; archived ones count nowhere."""
    # Those that hold a lease are few: from the narrow rows to the wide ones.
    leased = select(Schedule.id).where(Schedule.leased_at.is_not(None))
    selected = session.scalar(
        select(func.count())
        .select_from(Task)
        .where(Task.group_id.in_(leased), Task.archived_at.is_(None))
    )
    total = remembered.count(session, Task)
    return TaskCounts(upcoming=max(0, total - (selected or 0)), selected=selected or 0)


MANY_RESULTS = 1_000_000


def count_results(session: Session) -> int:
    """All stored results; more than a million of them nearly."""
    near = session.scalar(text(_NEAR_SQLITE if is_sqlite(session) else _NEAR_COUNT))
    if near is not None and near > MANY_RESULTS:
        return int(near)
    return session.scalar(select(func.count()).select_from(Result)) or 0


# What the planner knows; ids, which only the removal of the oldest leaves gaps in.
_NEAR_COUNT = """
SELECT sum(greatest(c.reltuples, 0)) FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'results'::regclass
"""
_NEAR_SQLITE = """
SELECT (SELECT max(id) FROM results) - (SELECT min(id) FROM results) + 1
"""

_ACTIVE = select(Task.id).where(Task.archived_at.is_(None)).limit(1)


def has_active_tasks(session: Session) -> bool:
    """Whether there is anything to watch."""
    return session.scalar(_ACTIVE) is not None
