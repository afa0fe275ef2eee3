"""Agents: who may speak for one, and when each was seen last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from argos.server.models import Agent
from argos.server.queries.bulk import RowSource


@dataclass(frozen=True, slots=True)
class Sighting:
    """How an agent looked when it was seen; None: it did not say."""

    name: str
    address: str | None = None
    version: str | None = None
    capabilities: str | None = None
    """JSON text of a list."""
    slots: int | None = None
    busy: int | None = None
    spooled: int | None = None
    location: str | None = None
    waiting: int | None = None
    cpu_percent: float | None = None
    lag_ms: float | None = None
    is_over_budget: bool | None = None
    clock_offset_s: float | None = None


_SIGHTINGS = RowSource({
    "name": "text",
    "seen_at": "timestamptz",
    "address": "text",
    "version": "text",
    "capabilities": "jsonb",
    "slots": "integer",
    "busy": "integer",
    "spooled": "integer",
    "location": "text",
    "waiting": "integer",
    "cpu_percent": "double precision",
    "lag_ms": "double precision",
    "is_over_budget": "boolean",
    "clock_offset_s": "double precision",
})
_SEE = """
INSERT INTO agents
  (name, created_at, last_seen_at, address, version, capabilities, slots, busy, spooled,
   location, waiting, cpu_percent, lag_ms, is_over_budget, clock_offset_s)
SELECT name, seen_at, seen_at, address, version, capabilities, slots, busy, spooled,
  location, waiting, cpu_percent, lag_ms, is_over_budget, clock_offset_s
FROM {rows} WHERE true
ON CONFLICT (name) DO UPDATE SET
  last_seen_at = excluded.last_seen_at, address = excluded.address,
  version = coalesce(excluded.version, agents.version),
  capabilities = coalesce(excluded.capabilities, agents.capabilities),
  slots = coalesce(excluded.slots, agents.slots),
  busy = coalesce(excluded.busy, agents.busy),
  spooled = coalesce(excluded.spooled, agents.spooled),
  location = coalesce(excluded.location, agents.location),
  waiting = coalesce(excluded.waiting, agents.waiting),
  cpu_percent = coalesce(excluded.cpu_percent, agents.cpu_percent),
  lag_ms = coalesce(excluded.lag_ms, agents.lag_ms),
  is_over_budget = coalesce(excluded.is_over_budget, agents.is_over_budget),
  clock_offset_s = coalesce(excluded.clock_offset_s, agents.clock_offset_s)
"""

# Built once: each server looks at these some times a minute, for ever.
_LIVE = (
    select(Agent.name, Agent.capabilities, Agent.location, Agent.suspect_since)
    .where(Agent.last_seen_at > bindparam("seen_after"))
    .order_by(Agent.name)
)
_SUSPECTS = select(Agent.name).where(Agent.suspect_since.is_not(None))
_TABLE: Any = Agent.__table__
_CLEAR_REVOKED = (
    update(_TABLE)
    .where(_TABLE.c.suspect_since.is_not(None), _TABLE.c.revoked_at.is_not(None))
    .values(suspect_since=None, suspect_reason=None)
    .returning(_TABLE.c.name)
)
_LAST_SEEN = select(Agent.name, Agent.last_seen_at).where(
    Agent.last_seen_at.is_not(None), Agent.revoked_at.is_(None)
)


def see_agent(session: Session, *, sighting: Sighting, now: datetime) -> None:
    """Remember that an agent was here; what it did not say stays as it was."""
    row = (
        sighting.name, now, sighting.address, sighting.version, sighting.capabilities,
        sighting.slots, sighting.busy, sighting.spooled, sighting.location,
        sighting.waiting, sighting.cpu_percent, sighting.lag_ms,
        sighting.is_over_budget, sighting.clock_offset_s,
    )  # fmt: skip
    _SIGHTINGS.write(session, _SEE, [row])


def get_agent(session: Session, *, name: str) -> Agent | None:
    """The agent of this name."""
    return session.scalars(select(Agent).where(Agent.name == name)).one_or_none()


def get_agent_by_token_id(session: Session, *, token_id: str) -> Agent | None:
    """The agent that has this token."""
    return session.scalars(
        select(Agent).where(Agent.token_id == token_id)
    ).one_or_none()


def list_agents(session: Session) -> Sequence[Agent]:
    """All agents, by name."""
    return session.scalars(select(Agent).order_by(Agent.name)).all()


def add_agent(session: Session, *, name: str, now: datetime) -> Agent:
    """Enter an agent that was not seen yet."""
    agent = Agent(name=name, created_at=now)
    session.add(agent)
    session.flush()
    return agent


def revoke_agent(session: Session, *, name: str, now: datetime) -> bool:
    """Make an agent's own token worthless; whether it had one that was not."""
    changed = session.execute(
        update(Agent)
        .where(
            Agent.name == name, Agent.token_id.is_not(None), Agent.revoked_at.is_(None)
        )
        .values(revoked_at=now)
        .returning(Agent.id)
    )
    return changed.first() is not None


@dataclass(frozen=True, slots=True)
class LiveAgent:
    """An agent that was seen a moment ago."""

    name: str
    capabilities: Sequence[str] | None
    """None: it is one of 0.10.3, which announce none."""
    location: str | None
    suspect_since: datetime | None


def list_live_agents(session: Session, *, seen_after: datetime) -> list[LiveAgent]:
    """The agents that were seen after a moment, by name."""
    rows = session.execute(_LIVE, {"seen_after": seen_after})
    return [LiveAgent(*row) for row in rows]


def list_suspects(session: Session) -> frozenset[str]:
    """The agents that fail where others succeed."""
    return frozenset(session.scalars(_SUSPECTS))


def suspect_agent(session: Session, *, name: str, reason: str, now: datetime) -> bool:
    """Hold an agent for suspect; False: it is already."""
    changed = session.execute(
        update(Agent)
        .where(Agent.name == name, Agent.suspect_since.is_(None))
        .values(suspect_since=now, suspect_reason=reason)
        .returning(Agent.id)
    )
    return changed.first() is not None


def trust_agent(session: Session, *, name: str, reason: str | None = None) -> bool:
    """Believe an agent again; False: it is believed already, or not for this reason."""
    of_reason = [] if reason is None else [Agent.suspect_reason == reason]
    changed = session.execute(
        update(Agent)
        .where(Agent.name == name, Agent.suspect_since.is_not(None), *of_reason)
        .values(suspect_since=None, suspect_reason=None)
        .returning(Agent.id)
    )
    return changed.first() is not None


def clear_revoked(session: Session) -> list[str]:
    """Hold those for suspect no longer that were revoked; their names."""
    return sorted(session.scalars(_CLEAR_REVOKED))


def list_last_seen(session: Session) -> dict[str, datetime]:
    """When each agent was seen last, by its name; those that never were are left out."""
    rows = session.execute(_LAST_SEEN)
    return {name: seen_at for name, seen_at in rows if seen_at is not None}


def list_clock_offsets(session: Session, *, seen_after: datetime) -> dict[str, float]:
    """By how many seconds the clocks of agents are ahead that were seen of late."""
    rows = session.execute(
        select(Agent.name, Agent.clock_offset_s).where(
            Agent.clock_offset_s.is_not(None),
            Agent.last_seen_at > seen_after,
            Agent.revoked_at.is_(None),
        )
    )
    return {name: offset_s for name, offset_s in rows if offset_s is not None}


def get_last_seen_at(session: Session) -> datetime | None:
    """When any agent was seen last; None when none ever was."""
    moment: datetime | None = session.scalar(select(func.max(Agent.last_seen_at)))
    return moment
