"""Which other agents could look at a problem that one agent alone has seen."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from argos.server.database import Session
from argos.server.queries import agents as agent_queries
from argos.server.queries.agents import LiveAgent
from argos.server.services.lease import allowed_pools

log = logging.getLogger(__name__)

LIVE_INTERVAL = timedelta(seconds=60)
"""An agent is alive that was seen within so long; one that waits calls every 25 s."""


@dataclass(frozen=True, slots=True)
class Question:
    """Who is not to answer: the agent that asks, and others at its location."""

    agent: str
    location: str | None = None
    """None: there are only agents at the asking one's own location."""


class Witnesses:
    """The live agents, read when they are first needed and then kept for a batch."""

    def __init__(self, session: Session, *, agent: str, now: datetime) -> None:
        self._session = session
        self._agent = agent
        self._now = now
        self._live: Sequence[LiveAgent] | None = None

    def question(self, pool: int) -> Question | None:
        """How to ask another agent that can lease from a pool; None: there is none."""
        others = [
            other
            for other in self.live
            if other.name != self._agent
            and other.suspect_since is None
            and pool in allowed_pools(other.capabilities, other.location)
        ]
        if not others:
            return None
        here = self._location()
        elsewhere = [other for other in others if other.location != here]
        return Question(self._agent, here if elsewhere else None)

    @property
    def live(self) -> Sequence[LiveAgent]:
        """The agents that were seen a moment ago."""
        if self._live is None:
            self._live = agent_queries.list_live_agents(
                self._session, seen_after=self._now - LIVE_INTERVAL
            )
        return self._live

    def _location(self) -> str | None:
        own = [each for each in self.live if each.name == self._agent]
        return own[0].location if own else None
