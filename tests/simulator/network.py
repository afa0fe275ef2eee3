"""A server and the network before it: messages are late, lost, repeated, unanswered."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from argos.agent.client import LeaseAnswer, LeaseRequest
from argos.errors import ServerUnreachable
from argos.protocol import AgentResult, HeldLease, ReportAnswer, Task
from argos.schemas import Config
from argos.server.database import Database
from argos.server.models import Schedule
from argos.server.routes.api.agent import encode_task
from argos.server.services import ingest as ingestion, lease as leasing
from argos.server.services.report import parse_report
from tests.simulator.history import History, Lease, LeaseEnd
from tests.simulator.virtual_time import VirtualClock

CALL_TIMEOUT_S = 30.0


@dataclass
class Faults:
    """How likely each fault is, per message; all zero: a calm network."""

    lost_request: float = 0.0
    lost_answer: float = 0.0
    """The server has done it, and the agent never hears: the most useful fault."""
    repeated: float = 0.0
    """The request arrives a second time, some seconds later."""
    longest_delay_s: float = 0.05


class SimulatedServer:
    """The server's own services on a real database, called without HTTP."""

    def __init__(
        self,
        database: Database,
        config: Config,
        *,
        clock: VirtualClock,
        history: History,
    ) -> None:
        self._database = database
        self._config = config
        self._clock = clock
        self._history = history

    async def lease(self, agent: str, request: LeaseRequest) -> list[Task]:
        """Lease, and wait for something to fall due as long as the agent asks."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + request.wait_s
        while True:
            now = self._clock.utcnow()
            ahead = timedelta(seconds=request.ahead_s)
            wish = leasing.LeaseWish(request.limit, request.capabilities, ahead)
            answer = leasing.lease(
                self._database,
                agent=agent,
                wish=wish,
                config=self._config,
                now=now,
            )
            left = give_up_at - loop.time()
            if answer.tasks or left <= 0:
                self._note_leases(agent, {task.group_id for task in answer.tasks}, now)
                return [
                    Task.model_validate(encode_task(task, is_legacy=False))
                    for task in answer.tasks
                ]
            due_in = timedelta(seconds=left)
            if answer.next_due_at is not None:
                due_in = answer.next_due_at - now - wish.lead
                due_in = max(due_in, timedelta(milliseconds=10))
            await asyncio.sleep(min(due_in.total_seconds(), left))

    def report(self, agent: str, payloads: Sequence[bytes]) -> ReportAnswer:
        """Take a report over; what is noted as accepted is what the agent will see."""
        items = parse_report(b"[" + b",".join(payloads) + b"]")
        before = self._held()
        answer = ingestion.ingest(
            self._database,
            agent=agent,
            items=items,
            config=self._config,
            now=self._clock.utcnow(),
        )
        self._note_ends(before)
        return answer

    def note_accepted(self, payloads: Sequence[bytes], answer: ReportAnswer) -> None:
        """Remember what an agent was told to be safe."""
        refused = {refusal.index for refusal in answer.refused}
        for index, payload in enumerate(payloads):
            result = AgentResult.model_validate_json(payload)
            if index not in refused and result.leased_at and result.elapsed_us:
                measured_at = result.leased_at + timedelta(
                    microseconds=result.elapsed_us
                )
                self._history.accepted.add((result.task_id, measured_at))

    def release(self, agent: str, leases: Sequence[HeldLease]) -> None:
        """Take leases back."""
        now = self._clock.utcnow()
        released = leasing.release(self._database, agent=agent, held=leases, now=now)
        numbers = {lease.group_id: lease.lease_no for lease in leases}
        for group_id in released:
            self._history.lease_ends.append(LeaseEnd(now, group_id, numbers[group_id]))

    def _note_leases(self, agent: str, group_ids: set[int], now: datetime) -> None:
        with self._database.reading() as session:
            for row in session.scalars(
                select(Schedule).where(Schedule.id.in_(group_ids))
            ):
                self._history.leases.append(
                    Lease(now, agent, row.id, row.lease_no, row.due_at, row.next_run)
                )

    def _held(self) -> dict[int, int]:
        with self._database.reading() as session:
            rows = session.execute(
                select(Schedule.id, Schedule.lease_no).where(
                    Schedule.leased_at.is_not(None)
                )
            )
            return dict(rows.all())

    def _note_ends(self, before: dict[int, int]) -> None:
        now = self._clock.utcnow()
        with self._database.reading() as session:
            free = session.execute(
                select(Schedule.id, Schedule.lease_no).where(
                    Schedule.id.in_(before), Schedule.leased_at.is_(None)
                )
            )
            for group_id, lease_no in free:
                self._history.lease_ends.append(LeaseEnd(now, group_id, lease_no))


class FaultyLink:
    """What one agent sees of the server, through a network that fails it."""

    url = "http://simulated"

    def __init__(
        self, server: SimulatedServer, agent: str, *, faults: Faults, rng: random.Random
    ) -> None:
        self._server = server
        self._agent = agent
        self._faults = faults
        self._rng = rng
        self._repeats: set[asyncio.Task[None]] = set()

    async def lease(self, request: LeaseRequest) -> LeaseAnswer:
        await self._send()
        tasks = await self._server.lease(self._agent, request)
        await self._receive()
        return LeaseAnswer(tasks, is_legacy=False)

    async def report(self, payloads: Sequence[bytes]) -> ReportAnswer:
        await self._send()
        answer = self._server.report(self._agent, payloads)
        self._repeat(lambda: self._server.report(self._agent, payloads))
        await self._receive()
        self._server.note_accepted(payloads, answer)
        return answer

    async def release(self, leases: Sequence[HeldLease]) -> None:
        await self._send()
        self._server.release(self._agent, leases)
        self._repeat(lambda: self._server.release(self._agent, leases))
        await self._receive()

    async def close(self) -> None:
        for repeat in self._repeats:
            repeat.cancel()

    async def _send(self) -> None:
        await asyncio.sleep(self._rng.uniform(0, self._faults.longest_delay_s))
        if self._rng.random() < self._faults.lost_request:
            await self._time_out()

    async def _receive(self) -> None:
        if self._rng.random() < self._faults.lost_answer:
            await self._time_out()
        await asyncio.sleep(self._rng.uniform(0, self._faults.longest_delay_s))

    async def _time_out(self) -> None:
        await asyncio.sleep(self._rng.choice([0.1, CALL_TIMEOUT_S]))
        raise ServerUnreachable("The call got no answer.")

    def _repeat(self, call: Callable[[], object]) -> None:
        if self._rng.random() >= self._faults.repeated:
            return

        async def later() -> None:
            await asyncio.sleep(self._rng.uniform(0.1, 90))
            call()

        repeat = asyncio.create_task(later())
        self._repeats.add(repeat)
        repeat.add_done_callback(self._repeats.discard)
