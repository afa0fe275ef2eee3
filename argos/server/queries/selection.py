"""Pieces of statements that several queries share."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Integer,
    and_,
    case,
    cast,
    extract,
    func,
    literal,
    or_,
    type_coerce,
)
from sqlalchemy.orm import Session
from sqlalchemy.types import BigInteger

from argos.core.probe import MAX_TIMING_ERROR_US, TIMING_ERROR_PARTS
from argos.core.severity import Severity
from argos.server.columns import to_epoch_us
from argos.server.models import Result, Task
from argos.server.models.base import SEVERITY


def is_postgresql(session: Session) -> bool:
    """Whether the session speaks to PostgreSQL, else to SQLite."""
    return session.get_bind().dialect.name == "postgresql"


def inline(severity: Severity) -> ColumnElement[Severity]:
    """A severity written into the statement itself.

    A partial index serves only statements in which its condition stands literally.
    """
    return literal(severity, SEVERITY, literal_execute=True)


IS_ACTIVE: ColumnElement[bool] = Task.archived_at.is_(None)
"""The config names the task."""

IS_LAST_KEPT: ColumnElement[bool] = and_(
    Result.task_id == Task.id,
    Result.submitted_at == func.coalesce(Task.kept_at, Task.completed_at),
)
"""The result is its task's last one, or stands for it as it has no row."""

IS_NOT_OK: ColumnElement[bool] = and_(Task.severity != inline(Severity.OK), IS_ACTIVE)
"""The condition of `ix_tasks_not_ok`."""


HAS_TRUSTWORTHY_TIME: ColumnElement[bool] = and_(
    Result.total_us.is_not(None),
    or_(
        func.coalesce(Result.timing_error_us, 0) <= MAX_TIMING_ERROR_US,
        # Not the other way round: 32 bits would overflow.
        Result.timing_error_us <= Result.total_us // TIMING_ERROR_PARTS,
    ),
)
"""`core.probe.is_time_trustworthy` as a condition on results."""


def urgency_of(severity: Any) -> ColumnElement[int]:
    """`Severity.urgency` as an expression."""
    return case(
        *(
            (severity == inline(member), literal(member.urgency, literal_execute=True))
            for member in Severity
            if member is not Severity.OK
        ),
        else_=literal(0, literal_execute=True),
    )


_BY_URGENCY = {severity.urgency: severity for severity in Severity}


def severity_of(urgency: int | None) -> Severity:
    """The severity of an urgency that a statement computed; nothing is ok."""
    return _BY_URGENCY[urgency or 0]


def fetch(session: Session, statement: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement as plain tuples, for records whose fields are in order."""
    return [tuple(row) for row in session.execute(statement)]


def seconds_between(
    session: Session, earlier: datetime, later: Any
) -> ColumnElement[Any]:
    """The seconds from a moment to a column's moment."""
    if is_postgresql(session):
        seconds: ColumnElement[float] = cast(extract("epoch", later - earlier), Float)
        return seconds
    return (type_coerce(later, BigInteger) - to_epoch_us(earlier)) / 1e6


def bucket_of(
    session: Session, moment: Any, *, since: datetime, width: timedelta
) -> ColumnElement[int]:
    """How many whole widths after `since` a column's moment lies."""
    if is_postgresql(session):
        elapsed = seconds_between(session, since, moment)
        return cast(func.floor(elapsed / width.total_seconds()), Integer)
    elapsed_us = type_coerce(moment, BigInteger) - to_epoch_us(since)
    return elapsed_us // (width // timedelta(microseconds=1))


def like_pattern(text: str) -> str:
    r"""A pattern for `LIKE … ESCAPE '\'` that finds the text anywhere, as it is."""
    escaped = text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"
