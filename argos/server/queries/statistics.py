"""What there is to say of a website, or of a task, over a day up to a year."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from argos.server.models import Task
from argos.server.queries.bulk import id_in
from argos.server.queries.figures import Figures, list_figures
from argos.server.queries.rollups import HourSpan


class Period(StrEnum):
    """How far back figures go."""

    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"
    QUARTER = "90d"
    YEAR = "1y"

    @property
    def length(self) -> timedelta:
        """The time that is meant; the hour that has begun is in it."""
        return _LENGTHS[self]

    @property
    def words(self) -> str:
        """The same for people."""
        if self is Period.DAY:
            return "24 hours"
        return f"{self.length.days} days"


_LENGTHS = {
    Period.DAY: timedelta(hours=24),
    Period.WEEK: timedelta(days=7),
    Period.MONTH: timedelta(days=30),
    Period.QUARTER: timedelta(days=90),
    Period.YEAR: timedelta(days=365),
}


def list_statistics(
    session: Session, *, task_ids: Collection[int], now: datetime
) -> Mapping[Period, Figures]:
    """The figures of some tasks and of their task groups, from rollups only."""
    groups = session.scalars(
        select(Task.group_id)
        .where(id_in(session, Task.id, task_ids), Task.group_id.is_not(None))
        .distinct()
    )
    group_ids = {group_id for group_id in groups if group_id is not None}
    found = list_figures(
        session,
        task_ids=task_ids,
        group_ids=group_ids,
        spans=[HourSpan.until(now, period.length) for period in Period],
        now=now,
    )
    return dict(zip(Period, found, strict=True))
