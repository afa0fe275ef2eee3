"""The agents: who measures, and how they do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter
from fastapi.responses import Response

from argos.schemas import Config
from argos.server.database import Session
from argos.server.queries import overview, views
from argos.server.queries.overview import AgentSummary
from argos.server.routes import wording
from argos.server.routes.access import Viewer
from argos.server.routes.dependencies import WaitingTasks
from argos.server.routes.pages.visit import Visit
from argos.server.routes.templating import render
from argos.server.services import dead_man
from argos.server.services.agent_clocks import SHOWN, WRONG, read_offset

router = APIRouter()


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent, and whether it is at work."""

    agent: AgentSummary
    is_alive: bool

    @property
    def clock_offset(self) -> timedelta:
        """By how much its clock is ahead; nothing, when it is about right."""
        offset = read_offset(self.agent.clock_offset_s or 0)
        return offset if abs(offset) > SHOWN else timedelta()

    @property
    def is_clock_wrong(self) -> bool:
        """Whether its clock is off by so much that people are told."""
        return abs(self.clock_offset) > WRONG


def agent_rows(
    session: Session, config: Config, *, now: datetime
) -> Sequence[AgentRow]:
    """All agents; one that was silent for `time_without_agent` is not at work."""
    limit = timedelta(minutes=config.recurring_tasks.time_without_agent)
    return [
        AgentRow(
            agent,
            is_alive=agent.last_seen_at is not None
            and agent.last_seen_at > now - limit,
        )
        for agent in overview.list_agents(session)
    ]


def describe_agents(rows: Sequence[AgentRow]) -> str:
    """How many there are, and whether some are missing."""
    alive = sum(row.is_alive for row in rows)
    if alive == len(rows):
        return wording.count(len(rows), "agent")
    return f"{alive} of {wording.count(len(rows), 'agent')} at work"


@router.get("/agents", name="agents")
def show_agents(viewer: Viewer, visit: Visit, waiting: WaitingTasks) -> Response:
    """Each agent, as it last said of itself."""
    session, now = visit.session, visit.now
    limit = timedelta(minutes=visit.config.recurring_tasks.time_without_agent)
    return render(
        visit.request,
        "agents.html",
        login=viewer.login,
        agents=agent_rows(session, visit.config, now=now),
        oldest_due_at=overview.get_oldest_due_at(session, now=now),
        waiting_count=waiting,
        unserved=views.list_unserved_locations(session, seen_after=now - limit),
        ping=dead_man.read_state(session, visit.config),
    )
