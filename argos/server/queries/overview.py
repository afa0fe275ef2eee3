"""How the fleet is: what the dashboard counts.

Counted and grouped by the database. On a healthy fleet the partial index of tasks that
are not ok is tiny, so what is wrong is found without reading what is fine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from argos.core.schedule import SHARDS
from argos.core.severity import Severity
from argos.server.models import Agent, Schedule, Task, Website
from argos.server.queries import remembered
from argos.server.queries.bulk import driver_moment, moment_reader
from argos.server.queries.selection import IS_ACTIVE, IS_NOT_OK


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """How many checks and websites there are, by severity."""

    checks: Mapping[Severity, int]
    websites: Mapping[Severity, int]
    """Websites that have a check of this severity; for ok, those with nothing else."""
    website_count: int

    @property
    def check_count(self) -> int:
        return sum(self.checks.values())

    @property
    def troubled_website_count(self) -> int:
        return self.website_count - self.websites[Severity.OK]


@dataclass(frozen=True, slots=True)
class AgentSummary:
    """An agent, as it last said of itself."""

    name: str
    last_seen_at: datetime | None
    address: str | None
    version: str | None
    capabilities: Sequence[str]
    slots: int | None
    busy: int | None
    spooled: int | None
    location: str | None = None
    suspect_since: datetime | None = None
    suspect_reason: str | None = None
    waiting: int | None = None
    cpu_percent: float | None = None
    lag_ms: float | None = None
    is_over_budget: bool | None = None
    clock_offset_s: float | None = None
    """By how much its clock is ahead of ours."""


def count_fleet(session: Session) -> FleetCounts:
    """Count checks and websites by severity."""
    checks = dict.fromkeys(Severity, 0)
    websites = dict.fromkeys(Severity, 0)
    # In the order of the index: nothing is sorted to find what repeats.
    by_website = (
        select(Task.severity, Task.website_id, func.count().label("checks"))
        .where(IS_NOT_OK)
        .group_by(Task.severity, Task.website_id)
        .cte("by_website")
    )
    for severity, check_count, website_count in session.execute(
        select(
            by_website.c.severity,
            func.sum(by_website.c.checks),
            func.count(by_website.c.website_id),
        ).group_by(by_website.c.severity)
    ):
        checks[severity] = int(check_count)
        websites[severity] = website_count
    checks[Severity.OK] = max(0, count_tasks(session) - sum(checks.values()))
    all_websites = count_websites(session)
    troubled = _count_troubled(session, websites)
    websites[Severity.OK] = max(0, all_websites - troubled)
    return FleetCounts(checks, websites, all_websites)


def _count_troubled(session: Session, websites: Mapping[Severity, int]) -> int:
    """Websites that have any check which is not ok; of one severity that is known."""
    counts = [count for count in websites.values() if count]
    if len(counts) <= 1:
        return sum(counts)
    found = select(Task.website_id).where(IS_NOT_OK).distinct().subquery()
    return session.scalar(select(func.count(found.c.website_id))) or 0


def count_severities(session: Session) -> dict[Severity, int]:
    """How many tasks have each severity."""
    return dict(count_fleet(session).checks)


def count_tasks(session: Session) -> int:
    """How many tasks the config names."""
    return remembered.count(session, Task)


def count_websites(session: Session) -> int:
    """How many websites the config names."""
    return remembered.count(session, Website)


MANY_WAITING = 10_000


def count_waiting_tasks(session: Session, *, now: datetime) -> int:
    """How many tasks are due, or never ran, and are leased by nobody; at most 10,000."""
    waiting = (
        select(Task.id)
        .join(Schedule, Schedule.id == Task.group_id)
        .where(IS_ACTIVE, Schedule.due_at <= now, Schedule.leased_at.is_(None))
        .limit(MANY_WAITING)
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(waiting)) or 0


def get_oldest_due_at(session: Session, *, now: datetime) -> datetime | None:
    """Since when the task group that waits longest has been due; None: none waits."""
    row = session.execute(text(_OLDEST), {"now": driver_moment(session, now)}).one()
    moment: datetime | None = moment_reader(session)(row[0])
    return moment


# The first of each queue, instead of all that is due.
_OLDEST = f"""
WITH RECURSIVE pools (pool) AS (
  SELECT min(pool) FROM schedule UNION ALL
  SELECT (SELECT min(s.pool) FROM schedule s WHERE s.pool > p.pool)
  FROM pools p WHERE p.pool IS NOT NULL),
shards (shard) AS (
  SELECT 0 UNION ALL SELECT shard + 1 FROM shards WHERE shard < {SHARDS - 1})
SELECT min((SELECT s.due_at FROM schedule s
  WHERE s.pool = p.pool AND s.shard = h.shard AND s.due_at <= :now
    AND s.leased_at IS NULL
  ORDER BY s.due_at LIMIT 1))
FROM pools p CROSS JOIN shards h WHERE p.pool IS NOT NULL
"""  # noqa: S608  # a constant of ours


def list_agents(session: Session) -> Sequence[AgentSummary]:
    """The agents that may report, last seen first."""
    rows = session.execute(
        select(
            Agent.name,
            Agent.last_seen_at,
            Agent.address,
            Agent.version,
            Agent.capabilities,
            Agent.slots,
            Agent.busy,
            Agent.spooled,
            Agent.location,
            Agent.suspect_since,
            Agent.suspect_reason,
            Agent.waiting,
            Agent.cpu_percent,
            Agent.lag_ms,
            Agent.is_over_budget,
            Agent.clock_offset_s,
        )
        .where(Agent.revoked_at.is_(None))
        .order_by(Agent.last_seen_at.desc().nulls_last(), Agent.name)
    )
    return [
        AgentSummary(**{**row, "capabilities": row["capabilities"] or ()})
        for row in rows.mappings()
    ]


def count_agents(session: Session) -> int:
    """How many agents have ever been heard of, and may report."""
    statement = (
        select(func.count())
        .select_from(Agent)
        .where(Agent.revoked_at.is_(None), Agent.last_seen_at.is_not(None))
    )
    return session.scalar(statement) or 0
