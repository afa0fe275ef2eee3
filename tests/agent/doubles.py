"""Stand-ins for what lies around the agent's loop, and virtual time to run it in."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from msgspec.structs import replace as change

from argos.agent.backoff import Backoff
from argos.agent.client import LeaseAnswer, LeaseRequest
from argos.agent.engine.by_task import ByTask
from argos.agent.loop import AgentLoop, LoopSettings
from argos.agent.outage import OutageWatch
from argos.agent.references import References
from argos.agent.reporter import Reporter
from argos.core.probe import Outcome, Probe, ProbeResponse
from argos.protocol import AgentResult, HeldLease, ReportAnswer, Task
from tests.simulator.virtual_time import START, VirtualClock, VirtualTimeLoop

T = TypeVar("T")


def run_virtual(body: Callable[[VirtualTimeLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in virtual time."""
    loop = VirtualTimeLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(body(loop))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def run_inline(  # noqa: RUF029  # it stands in for asyncio.to_thread
    function: Callable[[], T], /
) -> T:
    return function()


def make_tasks(count: int, *, first: int = 0, **changes: Any) -> list[Task]:
    """Tasks of as many groups, leased at the start of virtual time."""
    return [
        Task(**{
            "id": n,
            "url": f"http://site{n}.example/",
            "domain": f"http://site{n}.example/",
            "ip_version": "4",
            "check": "status-is",
            "method": "GET",
            "request_data": None,
            "expected": "200",
            "task_group": f"group {n}",
            "group_id": n,
            "lease_no": 1,
            "leased_at": START,
            "timeout_s": 30.0,
            **changes,
        })
        for n in range(first, first + count)
    ]


def as_legacy(tasks: list[Task]) -> list[Task]:
    """The tasks as a 0.10.3 server gives them out."""
    return [
        change(task, group_id=None, lease_no=None, leased_at=None, timeout_s=None)
        for task in tasks
    ]


class MemoryServer:
    """Hands out what stands in `due`, notes what comes in, and fails as told to."""

    url = "http://server.example"

    def __init__(self, loop: VirtualTimeLoop, *, is_legacy: bool = False) -> None:
        self._loop = loop
        self._has_due = asyncio.Event()
        self.is_legacy = is_legacy
        self.due: list[Task] = []
        self.lease_s = 0.0
        self.report_s = 0.0
        self.lease_error: Exception | None = None
        self.report_error: Callable[[Sequence[bytes]], Exception | None] = lambda _: (
            None
        )
        self.requests: list[tuple[float, LeaseRequest]] = []
        self.reports: list[tuple[float, list[AgentResult]]] = []
        self.attempts: list[float] = []
        self.released: list[tuple[float, list[HeldLease]]] = []

    @property
    def results(self) -> list[AgentResult]:
        return [result for _, report in self.reports for result in report]

    @property
    def reported_ids(self) -> list[int]:
        return [result.task_id for result in self.results]

    def hand_out(self, tasks: Sequence[Task]) -> None:
        self.due.extend(tasks)
        self._has_due.set()

    async def lease(self, request: LeaseRequest) -> LeaseAnswer:
        self.requests.append((self._loop.time(), request))
        if self.lease_error is not None:
            raise self.lease_error
        if not self.due and not self.is_legacy:
            await self._wait(request.wait_s)
        limit = request.limit + self.is_legacy
        taken, self.due = self.due[:limit], self.due[limit:]
        if self.lease_s:
            await asyncio.sleep(self.lease_s)
        return LeaseAnswer(taken, self.is_legacy)

    async def _wait(self, seconds: float) -> None:
        self._has_due.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._has_due.wait()
        except TimeoutError:
            return

    async def report(self, payloads: Sequence[bytes]) -> ReportAnswer:
        self.attempts.append(self._loop.time())
        error = self.report_error(payloads)
        if self.report_s:
            await asyncio.sleep(self.report_s)
        if error is not None:
            raise error
        results = [AgentResult.model_validate_json(payload) for payload in payloads]
        self.reports.append((self._loop.time(), results))
        return ReportAnswer(result_ids=[result.task_id for result in results])

    async def release(self, leases: Sequence[HeldLease]) -> None:
        self.released.append((self._loop.time(), list(leases)))

    async def close(self) -> None:
        return


async def answer_200(_: Probe) -> Outcome:  # noqa: RUF029  # one of several behaviours
    return ProbeResponse(status_code=200)


class MemoryEngine(ByTask):
    """Answers probes by a function, and counts them."""

    name = "memory"
    capacity = 1000

    def __init__(
        self, probe: Callable[[Probe], Awaitable[Outcome]] = answer_200
    ) -> None:
        super().__init__()
        self._probe = probe
        self.running = 0
        self.most_running = 0
        self.probed: list[str] = []

    async def start(self) -> None:
        return

    async def probe(self, probe: Probe) -> Outcome:
        self.probed.append(probe.url)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await self._probe(probe)
        finally:
            self.running -= 1

    async def close(self) -> None:
        return


def slow(seconds: float) -> Callable[[Probe], Awaitable[Outcome]]:
    """A target that takes its time."""

    async def answer(_: Probe) -> Outcome:
        await asyncio.sleep(seconds)
        return ProbeResponse(status_code=200)

    return answer


class Agent:
    """A loop with its reporter, in virtual time."""

    def __init__(  # noqa: PLR0913  # as many as an agent has parts
        self,
        loop: VirtualTimeLoop,
        server: MemoryServer,
        engine: MemoryEngine,
        *,
        slots: int = 100,
        wait_s: float = 10.0,
        clock_offset: timedelta = timedelta(0),
        outage: OutageWatch | None = None,
        references: Sequence[str] = (),
    ) -> None:
        clock = VirtualClock(loop, offset=clock_offset)
        rng = random.Random(1)
        self.reporter = Reporter(
            server,
            None,
            clock=clock,
            backoff=Backoff(rng),
            run_blocking=run_inline,
        )
        self.loop = AgentLoop(
            server,
            engine,
            self.reporter,
            clock=clock,
            backoff=Backoff(rng),
            settings=LoopSettings(slots=slots, wait_s=wait_s),
            capabilities=lambda: ("ipv6",),
            run_blocking=run_inline,
            outage=outage,
            references=References(references, engine, clock=clock)
            if references
            else None,
        )

    async def work(self, seconds: float) -> float:
        """Run for so long, then stop; return how long the stop took."""
        working = asyncio.create_task(self.loop.run())
        done, _ = await asyncio.wait({working}, timeout=seconds)
        assert not done, "the loop ended by itself"
        stopped_at = asyncio.get_running_loop().time()
        self.loop.stop()
        await working
        return asyncio.get_running_loop().time() - stopped_at
