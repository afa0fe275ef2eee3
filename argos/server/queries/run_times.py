"""How long the probe of a run took: of a run that is well, one result says it for all.

The checks of a run were measured by one probe. Its times take a fifth of what is stored of
a result, so that the first task's result has them, and those of the others have none.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session, aliased

from argos.server.models import Result, Task

PHASE_COLUMNS = (
    Result.dns_us,
    Result.connect_us,
    Result.tls_us,
    Result.first_byte_us,
    Result.transfer_us,
)
Times = tuple[int | None, ...]
"""The phases, and the time in all, in microseconds."""
RunKey = tuple[datetime, str | None]
"""When a run was measured, and by which agent: what its results have in common."""


def list_holders(session: Session, *, task_id: int) -> Sequence[int]:
    """The tasks whose results may say how long those of a task took, and itself.

    Checks with a probe of their own are in a group of their own; what is archived is in
    none any more.
    """
    own = aliased(Task)
    found = session.scalars(
        select(Task.id)
        .join(own, Task.task_group == own.task_group)
        .where(
            own.id == task_id,
            Task.id < own.id,
            Task.location.is_not_distinct_from(own.location),
            func.coalesce(Task.group_id == own.group_id, true()),
            own.task_group != "",
        )
    )
    return [*found, task_id]


def list_times(
    session: Session, *, task_id: int, since: datetime, until: datetime
) -> dict[RunKey, Times]:
    """The times of a task's runs that were measured from a moment to another."""
    rows = session.execute(
        select(
            Result.submitted_at, Result.agent_id, *PHASE_COLUMNS, Result.total_us
        ).where(
            Result.task_id.in_(list_holders(session, task_id=task_id)),
            Result.submitted_at.between(since, until),
            Result.total_us.is_not(None),
        )
    )
    return {(row[0], row[1]): tuple(row[2:]) for row in rows}
