"""The queue: when which task group runs, and who holds it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Float, Index, Integer, LargeBinary, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from argos.server.columns import JsonDocument, UtcDateTime
from argos.server.models.base import Base, BigId, partial_index


class Schedule(Base):
    """One task group: its place in the queue, and its lease.

    The narrow row is queue and lock in one (docs/explanations/schedule.md): `due_at` is
    the next run or, while leased, the lease's end, so an expired lease is simply due.
    """

    __tablename__ = "schedule"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary(16), unique=True)
    """blake2b-128 of what makes the probe: method, IP version, URL, request data, options."""
    pool: Mapped[int] = mapped_column(SmallInteger, default=0)
    """Which agents may lease it; see `argos.server.identity.Pool`."""
    shard: Mapped[int] = mapped_column(SmallInteger, default=0)
    frequency: Mapped[float] = mapped_column(Float(53))
    """Minutes; the shortest of the group's tasks."""
    timeout_s: Mapped[float] = mapped_column(Float(53), default=30.0)
    """Total deadline of the probe, in seconds."""
    options: Mapped[dict[str, Any] | None] = mapped_column(JsonDocument)
    """How the probe differs from the usual one, secrets included; not for pages."""
    location: Mapped[str | None]
    """Only agents that stand there may lease it; NULL: any."""
    next_run: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the upcoming, or leased, run is planned; NULL until the first run is over."""
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lease_no: Mapped[int] = mapped_column(Integer, default=0)
    """The fence: grows with each lease."""
    leased_by: Mapped[str | None]
    """The agent that holds the lease, or held the last one."""
    leased_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """NULL when nobody holds a lease."""
    not_for: Mapped[str | None]
    """The agent that is not to make the upcoming run, while others can: it is to
    give a second opinion."""
    not_at: Mapped[str | None]
    """The location whose agents are not to make it either."""
    missed_runs: Mapped[int] = mapped_column(Integer, default=0)
    """Planned runs that never took place, since the group exists."""
    expired_leases: Mapped[int] = mapped_column(
        SmallInteger, default=0, server_default="0"
    )
    """Leases in a row that ended without a report; from the third on they last longer,
    so that a group that kills its agents cannot delay the others."""
    open_hour: Mapped[int | None] = mapped_column(Integer)
    """The hour since 1970 of which response times are being counted."""
    open_latencies: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Their tally (see `argos.core.rollup`); closed hours stand in `group_days`."""

    # lease_tasks walks one (pool, shard) from the earliest due row on.
    __table_args__ = (
        Index("ix_schedule_pool_shard_due_at", "pool", "shard", "due_at"),
        # list_unserved_locations
        partial_index("ix_schedule_location", "location IS NOT NULL", "location"),
        # lock_stalled_tasks
        partial_index("ix_schedule_stalled", "expired_leases >= 3", "id"),
        {"postgresql_with": {"fillfactor": "70"}},
    )
