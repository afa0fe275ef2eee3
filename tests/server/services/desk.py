"""A task, its runs and the housework, as tests of what is told need them."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from argos.core.matching import Matcher
from argos.server.models import (
    Delivery,
    DeliveryState,
    Event,
    Schedule,
    SilenceKind,
    Task,
)
from argos.server.queries.leases import lease_groups
from argos.server.queries.silences import NewSilence
from argos.server.services import held, lasting, peace
from argos.server.services.ingest import ingest
from argos.server.services.upkeep import Duty, Means, Upkeep
from tests.server.factories import add_group

STATUS = {"o": "success", "c": "failure", "u": "error"}
MINUTE = timedelta(minutes=1)


class Clock:
    """Shows the time that a test says."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def utcnow(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.now.timestamp()


class Desk:
    """A task, its runs, and what is told of them."""

    def __init__(self, database: Any, config: Any, now: datetime) -> None:
        self.database = database
        self.config = config
        self.clock = Clock(now)
        with database.transaction() as session:
            add_group(session, "a", due_at=now)
            session.execute(update(Task).values(confirm=False))

    def set(self, **changes: Any) -> None:
        """Change the general section of the config."""
        general = self.config.general.model_copy(update=changes)
        self.config = self.config.model_copy(update={"general": general})

    def run(self, letter: str, *, after: timedelta = MINUTE) -> None:
        """One run, a while after what came before."""
        self.clock.now += after
        now = self.clock.now
        with self.database.transaction() as session:
            session.execute(update(Schedule).values(due_at=now, leased_at=None))
            tasks = lease_groups(
                session, agent="anna", pools=[0], limit=9, now=now
            ).read_tasks()
        items = [
            {
                "task_id": task.id,
                "status": STATUS[letter],
                "context": {},
                "lease_no": task.lease_no,
                "leased_at": now.isoformat(),
                "elapsed_us": 0,
            }
            for task in tasks
        ]
        answer = ingest(
            self.database, agent="anna", items=items, config=self.config, now=now
        )
        assert answer.refused == []

    def wait(self, length: timedelta) -> None:
        """Let time pass, and the housework be done."""
        self.clock.now += length
        means = Means(
            database=self.database,
            clock=self.clock,
            get_config=lambda: self.config,
            holder="here",
        )
        second = timedelta(seconds=1)
        duties = [
            Duty("held", second, held.let_go),
            Duty("lasting", second, lasting.tell_lasting),
        ]
        upkeep = Upkeep(means, duties)
        upkeep.enter()
        upkeep.do_due()

    def silence(self, length: timedelta, **wanted: Any) -> int:
        new = NewSilence(
            kind=wanted.pop("kind", SilenceKind.SILENCE),
            matcher=Matcher(**wanted) if wanted else Matcher(website=["a.example.org"]),
            starts_at=self.clock.now,
            ends_at=self.clock.now + length,
            comment="",
            created_by="eva",
        )
        return peace.add_silence(self.database, new, now=self.clock.now)

    def deliveries(self, *states: DeliveryState) -> list[str]:
        """What kinds of news stand in these states, in order."""
        with self.database.reading() as session:
            rows = session.execute(
                select(Event.kind)
                .join(Delivery, Delivery.event_id == Event.id)
                .where(Delivery.state.in_(states), Delivery.dropped_at.is_(None))
                .order_by(Delivery.id)
            )
            return [row.kind.value for row in rows]

    @property
    def told(self) -> list[str]:
        return self.deliveries(DeliveryState.WAITING, DeliveryState.SENT)

    @property
    def kept(self) -> list[str]:
        return self.deliveries(DeliveryState.HELD)

    def events(self) -> list[str]:
        with self.database.reading() as session:
            found = session.scalars(select(Event).order_by(Event.id))
            return [event.kind.value for event in found]
