"""Rollups that grow old: first without their hours, then gone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from argos.server.models import Gap, GroupDay, TaskDay
from argos.server.queries.bulk import id_in, key_in


def thin_task_days(
    session: Session,
    *,
    after: int | None,
    count: int,
    hours_before: int,
    days_before: int,
) -> int | None:
    """Thin the days of the next tasks by id; return the last one, None at the end."""
    ids = _next_keys(session, TaskDay.task_id, after, count)
    if not ids:
        return None
    _thin(
        session,
        TaskDay,
        id_in(session, TaskDay.task_id, ids),
        days_before,
        hours_before,
    )
    last: int = ids[-1]
    return last


def thin_group_days(
    session: Session,
    *,
    after: bytes | None,
    count: int,
    hours_before: int,
    days_before: int,
) -> bytes | None:
    """The same for the days of task groups, by key."""
    keys = _next_keys(session, GroupDay.group_key, after, count)
    if not keys:
        return None
    which = key_in(session, GroupDay.group_key, keys)
    _thin(session, GroupDay, which, days_before, hours_before)
    last: bytes = keys[-1]
    return last


def _next_keys(session: Session, column: Any, after: Any, count: int) -> Sequence[Any]:
    keys = select(column).distinct().order_by(column).limit(count)
    return session.scalars(keys if after is None else keys.where(column > after)).all()


def _thin(
    session: Session, days: Any, which: Any, days_before: int, hours_before: int
) -> None:
    """By the key and the day, so that only what is too old is looked at."""
    session.execute(delete(days).where(which, days.day < days_before))
    session.execute(
        update(days)
        .where(which, days.day < hours_before, days.hours != b"")
        .values(hours=b"")
    )


def delete_old_gaps(session: Session, *, before: datetime) -> None:
    """Delete the gaps that ended before a moment."""
    session.execute(delete(Gap).where(Gap.end < before))
