"""Some agents and a server, whose results and housework a test moves on by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from argos.schemas import Config
from argos.server.database import Database
from argos.server.identity import Pool, located
from argos.server.models import Delivery, Event
from argos.server.queries import agents as agent_queries
from argos.server.queries.agents import Sighting
from argos.server.queries.leased import LeasedTask, LeaseTerms
from argos.server.queries.leases import lease_groups
from argos.server.services.agent_watch import AgentWatch
from argos.server.services.ingest import ingest
from argos.server.services.unanswered import settle_unanswered
from argos.server.services.upkeep import Duty, Means, Upkeep


@dataclass
class World:
    """Some agents and a server, at a moment that moves on by hand."""

    database: Database
    config: Config
    clock: Any
    watch: AgentWatch = field(default_factory=AgentWatch)
    locations: dict[str, str] = field(default_factory=dict)
    """By agent, of those that say where they stand."""

    @property
    def now(self) -> datetime:
        moment: datetime = self.clock.utcnow()
        return moment

    def see(self, *names: str, **more: Any) -> None:
        with self.database.transaction() as session:
            for name in names:
                if "location" in more:
                    self.locations[name] = more["location"]
                sighting = Sighting(name, capabilities="[]", **more)
                agent_queries.see_agent(session, sighting=sighting, now=self.now)

    def lease(self, agent: str) -> list[LeasedTask]:
        location = self.locations.get(agent)
        pools = [0]
        if location is not None:
            pools.append(located(Pool.NEW_CHECKS, location))
        with self.database.transaction() as session:
            return lease_groups(
                session,
                agent=agent,
                pools=pools,
                limit=500,
                now=self.now,
                terms=LeaseTerms(location=location),
            ).read_tasks()

    def report(
        self, agent: str, tasks: Sequence[LeasedTask], status: str, **facts: str
    ) -> None:
        self.clock.move(seconds=1)
        items = [
            {
                "task_id": task.id,
                "status": status,
                "context": {"reason": "refused", **facts},
                "lease_no": task.lease_no,
                "leased_at": task.leased_at.isoformat(),
                "elapsed_us": 1_000_000,
            }
            for task in tasks
        ]
        self.deliver(agent, items)

    def deliver(self, agent: str, items: list[dict[str, Any]]) -> None:
        """Report results; all must be taken."""
        answer = ingest(
            self.database,
            agent=agent,
            items=items,
            config=self.config,
            now=self.now,
            watch=self.watch,
        )
        assert answer.refused == []

    def run(self, agent: str, status: str) -> int:
        """Let an agent do all that it gets; return how much that was."""
        tasks = self.lease(agent)
        self.report(agent, tasks, status)
        return len(tasks)

    def wait(self, length: timedelta) -> None:
        """Let time pass while a server does its housework."""
        until = self.now + length
        self.keep_house()
        while self.now < until:
            step = min(until - self.now, timedelta(seconds=30))
            self.clock.move(seconds=step.total_seconds())
            self.keep_house()

    def keep_house(self) -> None:
        means = Means(
            database=self.database,
            clock=self.clock,
            get_config=lambda: self.config,
            holder="server",
        )
        duty = Duty("unanswered", timedelta(), settle_unanswered)
        upkeep = Upkeep(means, [duty])
        upkeep.enter()
        upkeep.do_due()

    def all(self, model: type[Any]) -> list[Any]:
        with self.database.reading() as session:
            return list(session.scalars(select(model).order_by(model.id)))

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(event.kind, event.reason) for event in self.all(Event)]

    @property
    def notices(self) -> list[str]:
        return [each.notice["kind"] for each in self.all(Delivery) if each.notice]
