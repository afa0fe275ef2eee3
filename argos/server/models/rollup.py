"""Rollups: what was measured on each day, hour by hour, without the results."""

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from argos.server.columns import UtcDateTime
from argos.server.models.base import Base, BigId

_DAYS = {"sqlite_with_rowid": False, "postgresql_with": {"fillfactor": "70"}}


class TaskDay(Base):
    """How often each severity was measured of a task on one day (UTC).

    Of the hour that is still open the counts stand in `Task.open_counts`.
    """

    __tablename__ = "task_days"

    task_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """Days since 1970."""
    ok: Mapped[int] = mapped_column(default=0)
    warning: Mapped[int] = mapped_column(default=0)
    critical: Mapped[int] = mapped_column(default=0)
    unknown: Mapped[int] = mapped_column(default=0)
    maintenance: Mapped[int] = mapped_column(default=0)
    """Measured inside a maintenance window, and not counted as anything else."""
    hours: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    """The same hour by hour, as a tally (see `argos.core.rollup`); later left out."""

    __table_args__ = _DAYS


class GroupDay(Base):
    """How long the answers to a task group's probes took on one day (UTC)."""

    __tablename__ = "group_days"

    group_key: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    """`Schedule.key`: it stays the same when the group goes and comes back."""
    day: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    latencies: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    """A tally of slots of response times, each task's result counted."""
    hours: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    """The same hour by hour; later left out."""

    __table_args__ = _DAYS


class Gap(Base):
    """Planned runs of a task group, one after the other, that never took place."""

    __tablename__ = "gaps"

    group_key: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    begin: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    """When the first of them was planned."""
    end: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the run after the last of them was planned."""
    missed: Mapped[int]

    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012  # as SQLAlchemy has it
