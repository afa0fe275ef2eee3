"""Websites that fail for one cause, and what is told of them."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select, update

from argos.core.cause import Cause, hold_interval
from argos.schemas import Config
from argos.server.models import (
    Delivery,
    DeliveryState,
    Incident,
    Schedule,
    Task,
    Website,
)
from argos.server.queries.leases import lease_groups
from argos.server.services import held
from argos.server.services.ingest import ingest
from argos.server.services.upkeep import Duty, Means, Upkeep
from tests.server.factories import add_group

PERIOD = timedelta(minutes=5)


HOLD = hold_interval(PERIOD)


REFUSED = {"error_message": "refused", "error_type": "connect"}
NO_TEXT = {"reason": "text not found"}


class World:
    """Websites of one agent, at a moment that moves on by hand."""

    def __init__(self, database: Any, config: Config, clock: Any) -> None:
        self.database = database
        self.config = config
        self.clock = clock

    def add(self, *names: str, **more: Any) -> None:
        with self.database.transaction() as session:
            for name in names:
                add_group(session, name, due_at=self.clock.now, **more)
            session.flush()
            for domain in session.scalars(
                select(Task.domain).where(Task.website_id.is_(None)).distinct()
            ).all():
                website = Website(domain=domain, host=domain)
                session.add(website)
                session.flush()
                session.execute(
                    update(Task)
                    .where(Task.domain == domain)
                    .values(website_id=website.id)
                )

    def run(self, results: dict[str, dict[str, Any] | None]) -> None:
        """Report of some websites at once: facts of a failure, or None for a success."""
        now = self.clock.now
        with self.database.transaction() as session:
            session.execute(update(Schedule).values(due_at=now, leased_at=None))
            tasks = lease_groups(
                session, agent="anna", pools=[0], limit=500, now=now
            ).read_tasks()
        items = []
        for task in tasks:
            name = task.url.removeprefix("https://").partition(".")[0]
            name = f"{name} {task.check}" if f"{name} {task.check}" in results else name
            if name in results:
                facts = results[name]
                items.append({
                    "task_id": task.id,
                    "status": "success" if facts is None else "failure",
                    "context": facts or {},
                    "lease_no": task.lease_no,
                    "leased_at": now.isoformat(),
                    "elapsed_us": 0,
                })
        answer = ingest(
            self.database, agent="anna", items=items, config=self.config, now=now
        )
        assert answer.refused == []

    def rows(self, model: Any) -> list[Any]:
        with self.database.reading() as session:
            return list(session.scalars(select(model).order_by(model.id)))

    def let_go(self) -> None:
        """Do the housework of what is kept back."""
        means = Means(
            database=self.database,
            clock=self.clock,
            get_config=lambda: self.config,
            holder="server",
        )
        upkeep = Upkeep(means, [Duty("held", timedelta(), held.let_go)])
        upkeep.enter()
        upkeep.do_due()

    @property
    def states(self) -> list[DeliveryState]:
        """How far each notice came."""
        return [each.state for each in self.rows(Delivery)]

    @property
    def due(self) -> list[timedelta]:
        """How long from now each notice is held."""
        return [each.due_at - self.clock.now for each in self.rows(Delivery)]

    @property
    def gathered(self) -> list[tuple[int | None, Cause | None]]:
        """By incident: the place of its parent in the list, and why."""
        incidents = self.rows(Incident)
        places = {incident.id: place for place, incident in enumerate(incidents)}
        return [
            (places.get(incident.parent_id), incident.cause) for incident in incidents
        ]


NOW = timedelta()


ALONE = (None, None)


AT_ONE_ADDRESS = REFUSED | {"address": "192.0.2.1"}


HELD, WAITING, SENT = DeliveryState.HELD, DeliveryState.WAITING, DeliveryState.SENT
