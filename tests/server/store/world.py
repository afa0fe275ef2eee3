"""Agents, reloads, housework and dispatchers that use one database all at once."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select

from argos.channels import Notice
from argos.core.severity import Severity
from argos.errors import DatabaseUnreachable, DeliveryError
from argos.protocol import HeldLease, ReportAnswer
from argos.server.database import Database
from argos.server.models import Delivery, DeliveryState, Result
from argos.server.queries import deliveries, leases
from argos.server.queries.leased import LeasedTask
from argos.server.queries.leases import release_groups
from argos.server.services import dispatch, upkeep
from argos.server.services.duties import all_duties
from argos.server.services.ingest import ingest
from argos.server.services.reconcile import reconcile
from argos.server.settings import LoadedConfig
from tests.server.store.ledger import open_ledger

MAX_AGE = timedelta(hours=1)
SEVERITIES = {
    "success": Severity.OK,
    "failure": Severity.CRITICAL,
    "error": Severity.UNKNOWN,
}
LEFT_OUT = {"stalls", "silence"}
"""Duties that put something into the history by themselves."""

Item = dict[str, Any]
Key = tuple[int, datetime]
"""A result: its task, and when it was measured."""


class Accepted(NamedTuple):
    """A result that was answered 201."""

    id: int
    severity: Severity
    group_id: int
    lease_no: int
    is_late: bool
    agent: str | None


class Sent(NamedTuple):
    """A message arrived."""

    batch_id: str
    recipient: str


@dataclass
class Book:
    """What agents and recipients know."""

    accepted: dict[Key, Accepted] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    """How often each thing was done, and how often the database refused it."""

    def count(self, name: str) -> None:
        self.done[name] = self.done.get(name, 0) + 1


class SharedClock:
    """The time of all; it moves when nobody is at work, and never back."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def utcnow(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def move(self, **duration: float) -> None:
        self._now += timedelta(**duration)


@dataclass
class World:
    """What all players share."""

    database: Database
    clock: SharedClock
    variants: Sequence[LoadedConfig]
    """Configs of which now one, now another is in force."""
    book: Book = field(default_factory=Book)
    reports: list[tuple[str, list[Item]]] = field(default_factory=list)
    """What was reported, to be reported again."""
    unanswered: list[tuple[str, list[Item]]] = field(default_factory=list)
    """Reports of which nobody knows whether they were taken."""
    is_calm: bool = False

    def begin(self) -> None:
        """Put the first config into force, and make what housework makes."""
        open_ledger(self.database)
        self.reload(self.variants[0])
        Player(self, "first", seed=0).keep_house()

    def reload(self, loaded: LoadedConfig) -> None:
        reconcile(
            self.database, loaded, now=self.clock.utcnow(), allow_mass_removal=True
        )

    def play(
        self, players: Sequence["Player"], *, rounds: int, seed: int, at_once: bool
    ) -> None:
        """Let each player do one thing in each round: all at once, or in turn."""
        rng = random.Random(seed)
        with ThreadPoolExecutor(len(players) if at_once else 1) as threads:
            for _ in range(rounds):
                for done in [threads.submit(player.play) for player in players]:
                    done.result()
                self.clock.move(seconds=rng.choice([0, 10, 50, 120, 260]))

    def settle(self) -> None:
        """Let everything be reported and sent that waits."""
        self.is_calm = True
        last = Player(self, "last", seed=0)
        while self.unanswered:
            last.report_unanswered()
        for _ in range(12):
            self.clock.move(minutes=10)
            last.keep_house()
            last.dispatch()
            if not last.has_waiting():
                return


class Player:
    """One that does something or other, as its own seed says."""

    def __init__(self, world: World, name: str, *, seed: int) -> None:
        self._world, self._name = world, name
        self._database, self._clock = world.database, world.clock
        self._book = world.book
        self._rng = random.Random(seed)
        self._held: list[LeasedTask] = []
        config = world.variants[0].config
        means = upkeep.Means(self._database, self._clock, lambda: config, name)
        duties = all_duties(self._database, reload=lambda _: None)
        self._upkeep = upkeep.Upkeep(
            means, [duty for duty in duties if duty.name not in LEFT_OUT]
        )
        self._dispatcher = dispatch.Dispatcher(
            dispatch.Means(
                self._database,
                self._clock,
                self._rng,
                lambda: config,
                name,
                self._open_channel,
            )
        )

    def _open_channel(self, recipient: str, _general: Any) -> Any:
        return _Channel(recipient, self._world, self._rng)

    def play(self) -> None:
        """Do one thing; what fails by a bug stands in the book."""
        [name] = self._rng.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()))
        try:
            getattr(self, name)()
        except DatabaseUnreachable as err:
            self._book.count("refused")
            if "deadlock" in str(err).lower():
                self._book.faults.append(f"{name}: {err}")
        except Exception as err:  # noqa: BLE001  # the book tells
            self._book.faults.append(f"{name}: {err!r}")
        else:
            self._book.count(name)

    def lease(self) -> None:
        with self._database.transaction() as session:
            self._held += leases.lease_groups(
                session,
                agent=self._name,
                pools=[0],
                limit=self._rng.choice([1, 2, 9]),
                now=self._clock.utcnow(),
            ).read_tasks()

    def report(self) -> None:
        """Report some of what it holds, in time or not."""
        if not self._held:
            self.lease()
        count = self._rng.choice([1, 3, len(self._held)])
        tasks, self._held = self._held[:count], self._held[count:]
        items = [self._measure(task) for task in tasks]
        if self._rng.random() < 0.1:
            self._post(items, agent="stranger")
        self._post(items)

    def report_again(self) -> None:
        """The same once more; or what somebody else reported."""
        if self._world.reports:
            agent, items = self._rng.choice(self._world.reports[-8:])
            is_own = self._rng.random() < 0.8
            self._post(items, agent=agent if is_own else self._name)

    def report_unanswered(self) -> None:
        """Report again what was broken off, whoever it was."""
        if self._world.unanswered:
            agent, items = self._world.unanswered.pop(0)
            self._post(items, agent=agent)

    def hand_back(self) -> None:
        if self._rng.random() < 0.3:
            return  # it forgets what it holds, as after a crash
        held = [
            HeldLease(group_id=task.group_id, lease_no=task.lease_no)
            for task in self._held
        ]
        self._held = []
        with self._database.transaction() as session:
            release_groups(
                session, agent=self._name, held=held, now=self._clock.utcnow()
            )

    def reload(self) -> None:
        self._world.reload(self._rng.choice(self._world.variants))

    def keep_house(self) -> None:
        """Retention, partitions, the queue's mending, and the rest."""
        self._upkeep.enter()
        self._upkeep.do_due()

    def dispatch(self) -> None:
        now = self._clock.utcnow()
        with self._database.reading() as session:
            due = deliveries.list_due_recipients(session, now=now)
        for recipient in due:
            self._dispatcher.run_lane(recipient)

    def has_waiting(self) -> bool:
        """Whether anything is left to be sent."""
        waiting = select(Delivery.id).where(
            Delivery.state.in_([DeliveryState.WAITING, DeliveryState.HELD]),
            Delivery.dropped_at.is_(None),
        )
        with self._database.reading() as session:
            return session.scalar(waiting.limit(1)) is not None

    def _measure(self, task: LeasedTask) -> Item:
        return {
            "task_id": task.id,
            "status": self._rng.choice(["success"] * 3 + ["failure"] * 2 + ["error"]),
            "context": {},
            "lease_no": task.lease_no,
            "leased_at": task.leased_at.isoformat(),
            # Never twice the same; a little skew is tolerated.
            "elapsed_us": self._rng.randint(1, 4_000_000),
            "group_id": task.group_id,
        }

    def _post(self, items: list[Item], *, agent: str | None = None) -> None:
        self._world.reports.append((agent or self._name, items))
        bare = [{k: v for k, v in item.items() if k != "group_id"} for item in items]
        try:
            answer = ingest(
                self._database,
                agent=agent or self._name,
                items=bare,
                config=self._world.variants[0].config,
                now=self._clock.utcnow(),
            )
            self._note(items, answer)
        except DatabaseUnreachable:
            # An agent keeps what was not answered, and reports it later.
            self._world.unanswered.append((agent or self._name, items))
            raise

    def _note(self, items: list[Item], answer: ReportAnswer) -> None:
        refused = {refusal.index for refusal in answer.refused}
        taken = [item for place, item in enumerate(items) if place not in refused]
        if len(taken) != len(answer.result_ids):
            self._book.faults.append(f"I-10: {len(taken)} items, {answer}")
        with self._database.reading() as session:
            rows = session.scalars(
                select(Result).where(Result.id.in_(answer.result_ids))
            )
            stored = {row.id: row for row in rows}
        for item, id_ in zip(taken, answer.result_ids, strict=True):
            row = stored.get(id_)
            if row is None and self._is_outdated(item):
                continue  # it was there, until somebody kept house
            if row is None:
                self._book.faults.append(f"I-10: result {id_} of {item} is not there")
                continue
            self._note_one(item, row)

    def _is_outdated(self, item: Item) -> bool:
        leased_at = datetime.fromisoformat(item["leased_at"])
        return leased_at < self._clock.utcnow() - MAX_AGE

    def _note_one(self, item: Item, row: Result) -> None:
        leased_at = datetime.fromisoformat(item["leased_at"])
        key = (
            item["task_id"],
            leased_at + timedelta(microseconds=item["elapsed_us"]),
        )
        accepted = Accepted(
            row.id,
            SEVERITIES[item["status"]],
            item["group_id"],
            item["lease_no"],
            bool(row.is_late),
            row.agent_id,
        )
        if (row.task_id, row.submitted_at, row.severity) != (*key, accepted.severity):
            self._book.faults.append(f"I-10: {row} for {item}")
        known = self._book.accepted.setdefault(key, accepted)
        if known != accepted:
            self._book.faults.append(f"I-11: {accepted}, which was {known}")


_WEIGHTS = {
    "lease": 25,
    "report": 35,
    "report_again": 12,
    "hand_back": 6,
    "reload": 4,
    "keep_house": 6,
    "dispatch": 12,
}


class _Channel:
    """Takes notices; in rough times not each.

    No subclass of the product's: those enter themselves in a list.
    """

    def __init__(self, recipient: str, world: World, rng: random.Random) -> None:
        self._recipient, self._world, self._rng = recipient, world, rng

    def send(self, notice: Notice) -> None:
        if not self._world.is_calm and self._rng.random() < 0.2:
            raise DeliveryError("Nobody answers.")
        self._world.book.sent.append(Sent(notice.message_id, self._recipient))

    def close(self) -> None:
        """Nothing to close."""
