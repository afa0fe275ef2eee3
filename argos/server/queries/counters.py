"""Counts of tasks and results."""

from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from argos.core.severity import Severity
from argos.server.models import Result, Schedule, Task


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """How many tasks are leased, and how many are not."""

    upcoming: int
    selected: int


def count_tasks(session: Session) -> TaskCounts:
    """Tasks by whether an agent holds them; archived ones count nowhere."""
    is_leased = case((Schedule.leased_at.is_not(None), 1), else_=0)
    total, selected = session.execute(
        select(func.count(), func.coalesce(func.sum(is_leased), 0))
        .select_from(Task)
        .join(Schedule, Schedule.id == Task.group_id)
        .where(Task.archived_at.is_(None))
    ).one()
    return TaskCounts(upcoming=total - selected, selected=selected)


def count_results(session: Session) -> int:
    """All stored results."""
    return session.scalar(select(func.count()).select_from(Result)) or 0


def count_severities(session: Session) -> dict[Severity, int]:
    """How many tasks have each severity; archived ones count nowhere."""
    rows = session.execute(
        select(Task.severity, func.count())
        .where(Task.archived_at.is_(None))
        .group_by(Task.severity)
    )
    return dict(rows.all())


def has_active_tasks(session: Session) -> bool:
    """Whether there is anything to watch."""
    task_id = session.scalar(select(Task.id).where(Task.archived_at.is_(None)).limit(1))
    return task_id is not None
