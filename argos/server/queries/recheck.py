"""Running tasks sooner than planned, because somebody asked for it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, literal, select, update
from sqlalchemy.orm import Session

from argos.server.columns import UtcDateTime
from argos.server.models import Schedule, Task, Website
from argos.server.queries.selection import IS_ACTIVE, IS_NOT_OK


def recheck_not_ok(session: Session, *, now: datetime) -> int:
    """Make everything that is not ok due now; the number of task groups."""
    return _recheck(session, IS_NOT_OK, now=now)


def recheck_host(session: Session, *, host: str, now: datetime) -> int:
    """Make all checks of a website due now; the number of task groups."""
    websites = select(Website.id).where(Website.host == host)
    return _recheck(session, Task.website_id.in_(websites) & IS_ACTIVE, now=now)


def recheck_tasks(session: Session, *, task_ids: Sequence[int], now: datetime) -> int:
    """Make some tasks, and those that share their probes, due now."""
    return _recheck(session, Task.id.in_(task_ids) & IS_ACTIVE, now=now)


def _recheck(session: Session, which: ColumnElement[bool], *, now: datetime) -> int:
    groups = select(Task.group_id).where(which, Task.group_id.is_not(None))
    return len(session.scalars(_make_due(Schedule.id.in_(groups), now)).all())


def _make_due(which: ColumnElement[bool], now: datetime) -> Any:
    """Bring runs forward. What is leased is under way; what never ran is due already."""
    moment = literal(now, UtcDateTime)
    planned = case((Schedule.next_run.is_not(None), moment), else_=None)
    return (
        update(Schedule)
        .where(which, Schedule.leased_at.is_(None), Schedule.due_at > now)
        .values(due_at=now, next_run=planned)
        .returning(Schedule.id)
    )
