"""A server as a process that lives, is held up, dies, and is started again.

The product's own services on a real database; only HTTP and threads are left out.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from argos.agent.client import LeaseRequest
from argos.errors import DatabaseError, ServerError, ServerUnreachable
from argos.protocol import HeldLease, ReportAnswer, Task
from argos.server.columns import to_epoch_us
from argos.server.database import Database
from argos.server.queries import deliveries
from argos.server.queries.agents import Sighting
from argos.server.routes.api.wire import TaskForm, encode_tasks
from argos.server.services import (
    agent_access,
    dispatch,
    ingest,
    lease as leasing,
    upkeep,
)
from argos.server.services.agent_watch import AgentWatch
from argos.server.services.duties import all_duties
from argos.server.services.reconcile import reconcile
from argos.server.services.report import parse_report
from argos.server.settings import LoadedConfig
from tests.simulator.channel import SimulatedChannel
from tests.simulator.diary import Diary
from tests.simulator.disk import Disk, Holdup, ProcessDied
from tests.simulator.history import History, Reload, Tasks
from tests.simulator.scenario import Scenario, Weather
from tests.simulator.virtual_time import VirtualClock, VirtualTimeLoop

T = TypeVar("T")

LONGEST_WAIT_S = 3_600.0
"""A server of the simulation holds a call for so long, as each call takes real time."""
DISPATCH_PAUSE_S = (60.0, 600.0)
RARE_DUTIES = {"jobs", "dead-man", "clocks", "logins", "retention", "rollups"}
OFTEN_WHERE_LOCATED = {"unanswered", "held", "lasting", "queue", "silence"}
"""What bears on problems that are seen from several places."""


@dataclass
class Common:
    """What all processes of a world share."""

    scenario: Scenario
    loop: VirtualTimeLoop
    weather: Weather
    history: History
    diary: Diary
    loaded: LoadedConfig
    """The config file as it is now."""
    in_force: Tasks = frozenset()
    changed: asyncio.Event | None = None
    """Set when something may have become due."""

    def place_of(self, agent: str) -> str | None:
        """Where an agent stands, in a world of several places."""
        count = self.scenario.locations
        return f"place{int(agent.rpartition('-')[2]) % count}" if count else None

    def note_trouble(self) -> None:
        self.history.troubles.append(self.loop.time())

    def tell_change(self) -> None:
        if self.changed is not None:
            self.changed.set()
            self.changed = asyncio.Event()


class Server:
    """One server process at a time, under one name."""

    def __init__(self, name: str, common: Common, disk: Disk) -> None:
        self.name = name
        self.clock = VirtualClock(common.loop)
        self.is_up = False
        self._common = common
        self._disk = disk
        self._rng = random.Random(common.scenario.seed * 31 + hash_of(name))
        self._lives = 0
        self._database: Database
        self._died = asyncio.Event()

    async def live(self) -> None:
        """Be started, work, die, and be started again; for ever."""
        while True:
            self._start()
            work = [
                asyncio.create_task(self._keep_house()),
                asyncio.create_task(self._dispatch()),
            ]
            try:
                await self._until_the_end()
            finally:
                for task in work:
                    task.cancel()
                await asyncio.wait(work)
            await asyncio.sleep(self._rng.uniform(1, 600))

    async def _until_the_end(self) -> None:
        """Return when the process is dead: at the end of its time, or before."""
        left = self._rng.expovariate(1) * self._common.weather.server_life_s
        while left > 0:
            pause = min(left, 600.0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._died.wait()
                    return
            is_calm = self._common.weather.server_life_s == float("inf")
            left = float("inf") if is_calm else left - pause
        self._die()

    def _start(self) -> None:
        self._lives += 1
        self._disk.is_dead = False
        self._database = self._disk.open()
        self._desk = agent_access.AgentDesk()
        self._watch = AgentWatch() if self._common.scenario.locations else None
        self._config = self._common.loaded.config
        holder = f"{self.name}:{self._lives}"
        self._upkeep = upkeep.Upkeep(
            upkeep.Means(self._database, self.clock, lambda: self._config, holder),
            self._duties(),
        )
        self._dispatcher = dispatch.Dispatcher(
            dispatch.Means(
                self._database,
                self.clock,
                self._rng,
                lambda: self._config,
                holder,
                self._open_channel,
            )
        )
        self._died = asyncio.Event()
        self._has_entered = False
        self.is_up = True

    def _duties(self) -> list[upkeep.Duty]:
        """The product's own; those that have little to do here a few times a day."""
        rarely = timedelta(seconds=self._common.scenario.calm_s / 3)
        duties = all_duties(self._database, reload=lambda _: None)
        rare = RARE_DUTIES
        if self._common.scenario.locations:
            rare = {duty.name for duty in duties} - OFTEN_WHERE_LOCATED
        return [
            replace(duty, interval=rarely) if duty.name in rare else duty
            for duty in duties
        ]

    def _die(self) -> None:
        self._disk.is_dead = True
        self.is_up = False
        self._common.history.deaths += 1
        self._common.note_trouble()
        self._died.set()
        self._disk.close(self._database)

    def close(self) -> None:
        """End with the world."""
        if self.is_up:
            self.is_up = False
            self._disk.close(self._database)

    async def call(self, function: Callable[[], T]) -> T:
        """Do something in the process; raises ServerError when it fails or dies."""
        if not self.is_up:
            raise ServerUnreachable("Connection refused.", is_unprocessed=True)
        try:
            return await self._run(function)
        except DatabaseError as err:
            self._common.note_trouble()
            raise ServerError("503", is_unprocessed=True, retry_after_s=5.0) from err
        except ProcessDied as err:
            if self.is_up:
                self._die()
            raise ServerUnreachable("Connection reset.") from err

    async def _run(self, function: Callable[[], T]) -> T:
        if not self._disk.hit(self._common.weather.holdup):
            return function()
        holdup = Holdup(function, transactions=self._rng.choice([1, 2, 2, 3]))
        self._disk.before_begin = holdup.before_begin
        self._common.note_trouble()
        if not holdup.advance():
            # It has passed the one place where it looks at this.
            await asyncio.sleep(self._rng.choice([1, 60, 400]))
            self._common.note_trouble()
            holdup.advance()
        result: T = holdup.result()
        return result

    # What agents call

    async def lease(self, agent: str, request: LeaseRequest) -> list[Task]:
        """Lease, and wait for something to fall due."""
        give_up_at = self._common.loop.time() + LONGEST_WAIT_S * bool(request.wait_s)
        await self.call(lambda: self._see(agent))
        while True:
            if not self.is_up:
                raise ServerUnreachable("Connection reset.")
            # As the product does: so that the agent has the group when it is due.
            lead_s = request.ahead_s / 2
            if self._due_in_s(agent) <= lead_s:
                answer = await self.call(lambda: self._lease(agent, request))
                if answer.tasks:
                    self._common.tell_change()
                    body = encode_tasks(
                        answer.tasks, form=TaskForm.LEAN, now=self.clock.utcnow()
                    )
                    return msgspec.json.decode(body, type=list[Task])
            left = give_up_at - self._common.loop.time()
            if left <= 0:
                return []
            due_in_s = self._due_in_s(agent) - lead_s
            await self._wait(min(left, due_in_s if due_in_s > 0 else 1.0))

    def _due_in_s(self, agent: str) -> float:
        due_us = self._common.diary.next_due_us(self._common.place_of(agent))
        if due_us is None:
            return LONGEST_WAIT_S
        return (due_us - to_epoch_us(self.clock.utcnow())) / 1e6

    async def _wait(self, seconds: float) -> None:
        changed = self._common.changed
        if changed is None:
            changed = self._common.changed = asyncio.Event()
        waits = [
            asyncio.ensure_future(changed.wait()),
            asyncio.ensure_future(self._died.wait()),
        ]
        try:
            await asyncio.wait(
                waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()

    def _see(self, agent: str) -> None:
        place = self._common.place_of(agent)
        sighting = Sighting(name=agent, address=None, location=place)
        agent_access.see_agent(
            self._database, desk=self._desk, sighting=sighting, now=self.clock.utcnow()
        )

    def _lease(self, agent: str, request: LeaseRequest) -> leasing.LeaseAnswer:
        wish = leasing.LeaseWish(
            request.limit,
            request.capabilities,
            timedelta(seconds=request.ahead_s),
            self._common.place_of(agent),
        )
        return leasing.lease(
            self._database,
            agent=agent,
            wish=wish,
            config=self._config,
            clock=self.clock,
        )

    async def report(self, agent: str, body: bytes) -> ReportAnswer:
        """Take a report over."""

        def take() -> ReportAnswer:
            self._see(agent)
            return ingest.ingest(
                self._database,
                agent=agent,
                items=parse_report(body),
                config=self._config,
                now=self.clock.utcnow(),
                watch=self._watch,
            )

        answer = await self.call(take)
        self._common.tell_change()
        return answer

    async def release(self, agent: str, held: Sequence[HeldLease]) -> None:
        """Take leases back."""
        await self.call(
            lambda: leasing.release(
                self._database, agent=agent, held=held, now=self.clock.utcnow()
            )
        )
        self._common.tell_change()

    async def apply(self, loaded: LoadedConfig, wanted: Tasks) -> bool:
        """Apply a config; whether it was told to be done."""
        common = self._common
        before, is_done = common.in_force, True
        try:
            await self.call(
                lambda: reconcile(
                    self._database,
                    loaded,
                    now=self.clock.utcnow(),
                    allow_mass_removal=True,
                )
            )
        except ServerError:
            is_done = False
        common.in_force = common.diary.active_tasks()
        common.history.reloads.append(
            Reload(common.loop.time(), is_done, before, wanted, common.in_force)
        )
        common.tell_change()
        return is_done

    # What it does by itself

    async def _keep_house(self) -> None:
        while True:
            try:
                await self.call(self._do_housework)
                self._common.tell_change()
            except ServerError:
                await asyncio.sleep(60)
            self._config = self._common.loaded.config
            pause_s = self._common.scenario.housework_s
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) * pause_s)

    def _do_housework(self) -> None:
        if not self._has_entered:
            self._upkeep.enter()
            self._has_entered = True
        self._upkeep.do_due()

    async def _dispatch(self) -> None:
        while True:
            await asyncio.sleep(self._rng.uniform(*DISPATCH_PAUSE_S))
            if not self._common.diary.has_deliveries():
                continue
            try:
                for recipient in await self.call(self._due_recipients):
                    await self.call(
                        lambda to=recipient: self._dispatcher.run_lane(to)  # type: ignore[misc]  # a default binds it
                    )
            except ServerError:
                continue

    def _due_recipients(self) -> list[str]:
        now = self.clock.utcnow()
        with self._database.reading() as session:
            return deliveries.list_due_recipients(session, now=now)

    def _open_channel(self, recipient: str, _general: Any) -> Any:
        return SimulatedChannel(recipient, self._common, self._disk)


def hash_of(name: str) -> int:
    """A number of a name, the same in each process."""
    return sum(place * ord(letter) for place, letter in enumerate(name, start=1))
