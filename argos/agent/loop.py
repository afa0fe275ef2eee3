"""The agent's loop: lease, probe, evaluate, report, until told to stop.

Slots are kept full: as soon as some are free, so many task groups are asked for. No
group waits for another one, and none can harm another one. What falls due soon is
leased ahead, so that it begins at its moment.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from argos.agent.backoff import Backoff
from argos.agent.client import LeaseAnswer, LeaseRequest, Server
from argos.agent.engine.interface import ProbeEngine
from argos.agent.load import SAMPLE_S, LoadGauge
from argos.agent.outage import OutageWatch
from argos.agent.prober import Prober
from argos.agent.probing import plan_probes
from argos.agent.references import References
from argos.agent.reporter import Reporter, RunBlocking
from argos.agent.result import encode_results
from argos.agent.roster import Assignment, Roster
from argos.agent.slots import Slots
from argos.clock import Clock
from argos.errors import NotAnArgosServer, ServerError, TokenRefused
from argos.protocol import MAX_LEASE_GROUPS, HeldLease, Task

log = logging.getLogger(__name__)

LEASE_WAIT_S = 25
"""How long the server may hold a call for which nothing is due; proxies cut at 60."""
LEASE_AHEAD_S = 1.0
"""Task groups that fall due within this time are leased, too."""
LEASE_PAUSE_S = 0.1
"""Between two leases while few slots are free, so that each call is worth it."""
SHORT_WAIT_S = 1.0
"""An empty answer that comes sooner was not waited for."""
CALL_GRACE_S = 0.5
PROBE_GRACE_S = 0.75
RELEASE_LIMIT_S = 0.5
"""Together with the graces above: leases are back within 2 seconds of a stop."""
REPORT_GRACE_S = 5.0
"""For the last reports; what they do not bring home goes to the spool."""
REFUSED_PAUSE_S = 60.0
"""Where only a human can help: the token, or the address."""


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How much an agent takes on, and how long it waits."""

    slots: int = 100
    """Probes at work at once; those that only wait for their websites do not count."""
    most_under_way: int | None = None
    """Probes under way at once, the waiting ones included; None: see `Slots`."""
    wait_s: float = 10.0
    """Between two calls to a server that cannot hold one; the longest pause after a
    call that failed."""
    location: str | None = None
    """Where the agent stands, to be told to the server."""


class AgentLoop:
    """Works for one server; `run` ends some time after `stop`."""

    def __init__(  # noqa: PLR0913  # the seams that a simulation needs
        self,
        server: Server,
        engine: ProbeEngine,
        reporter: Reporter,
        *,
        clock: Clock,
        backoff: Backoff,
        settings: LoopSettings,
        capabilities: Callable[[], tuple[str, ...]],
        run_blocking: RunBlocking = asyncio.to_thread,
        gauge: LoadGauge | None = None,
        outage: OutageWatch | None = None,
        references: References | None = None,
    ) -> None:
        self._server = server
        self._reporter = reporter
        self._clock = clock
        self._backoff = backoff
        self._settings = settings
        self._capabilities = capabilities
        self._gauge = gauge
        self._outage = outage
        self._prober = Prober(
            engine,
            reporter,
            clock=clock,
            run_blocking=run_blocking,
            when_done=self._end,
            references=references,
        )
        self._roster = Roster(
            Slots(
                settings.slots,
                clock=clock,
                limit=settings.most_under_way,
                queue_s=lambda: engine.queue_s,
            ),
            clock=clock,
            begin=self._prober.begin,
        )
        self._stopping = asyncio.Event()
        self._was_empty = True
        self._has_met_server = False

    def stop(self) -> None:
        """Lease no more, hand back what is not done, report the rest, and end `run`."""
        self._stopping.set()
        self._roster.stop()

    async def run(self) -> None:
        """Work until stopped."""
        log.info("Running agent against %s", self._server.url)
        reporting = asyncio.create_task(self._reporter.run())
        watching = asyncio.create_task(self._watch_load())
        try:
            while not self._stopping.is_set():
                await self._wait_for_slots()
                await self._pause(await self._lease())
            await self._wind_down()
            self._reporter.close()
            await asyncio.wait({reporting}, timeout=REPORT_GRACE_S)
        finally:
            self._prober.break_off()
            watching.cancel()
            reporting.cancel()
            await asyncio.wait({reporting})
            if self._outage is not None:
                await self._outage.close()
            await self._reporter.save()

    # Leasing

    async def _wait_for_slots(self) -> None:
        """Wait for a free slot; for some more of them while the server is pressing.

        And for the reporter: to lease more than can be reported helps nobody.
        """
        if not self._reporter.has_room:
            await self._wait_for_reports()
        worthwhile = 1 if self._was_empty else max(1, self._settings.slots // 4)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEASE_PAUSE_S):
                await self._roster.until_wanted(worthwhile)
        await self._roster.until_wanted(1)
        if self._gauge is not None:
            await self._pause(self._gauge.pause_s)

    async def _wait_for_reports(self) -> None:
        log.warning("Leasing no more until the server has taken the results")
        room = asyncio.create_task(self._reporter.wait_for_room())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({room, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            room.cancel()
            stopping.cancel()

    async def _lease(self) -> float:
        """Call the server once; return the seconds to wait before the next call."""
        asked_at = self._clock.monotonic()
        try:
            answer = await self._call()
        except ServerError as err:
            return self._note_failure(err)
        except Exception:
            # The loop goes on: to stop here would mean to watch nothing at all.
            delay = self._backoff.fail(longest_s=self._settings.wait_s)
            attempt = self._backoff.failures
            log.exception("Retrying: attempt %d ended with: an error of ours", attempt)
            return delay
        if answer is None:
            return 0.0
        self._backoff.succeed()
        if self._outage is not None:
            self._outage.succeed()
        is_first, self._has_met_server = not self._has_met_server, True
        self._reporter.meet_server(is_legacy=answer.is_legacy)
        self._was_empty = not answer.tasks
        if answer.tasks:
            log.info("Received %d tasks from the server", len(answer.tasks))
            self._accept(answer.tasks)
            return 0.0
        log.info("Got no tasks from the server.")
        waited_s = self._clock.monotonic() - asked_at
        return self._pause_after_nothing(answer, LEASE_WAIT_S if is_first else waited_s)

    async def _call(self) -> LeaseAnswer | None:
        """Ask for task groups; None when told to stop before the answer came.

        A call under way gets a moment to answer even then: what it leased is handed back
        instead of staying leased until the lease runs out.
        """
        if self._stopping.is_set():
            return None
        call = asyncio.create_task(self._server.lease(self._request()))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({call, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                await asyncio.wait({call}, timeout=CALL_GRACE_S)
            return await call if call.done() else None
        finally:
            call.cancel()
            stopping.cancel()

    def _request(self) -> LeaseRequest:
        return LeaseRequest(
            limit=self._limit,
            ahead_s=LEASE_AHEAD_S,
            # The first answer tells with whom we speak; results may wait for that.
            wait_s=LEASE_WAIT_S if self._has_met_server else 0,
            slots=self._settings.slots,
            busy=self._roster.slots.at_work,
            waiting=self._roster.slots.waiting,
            load=None if self._gauge is None else self._gauge.load,
            spooled=self._reporter.waiting,
            capabilities=self._capabilities(),
            location=self._settings.location,
            clock=self._clock.utcnow(),
        )

    @property
    def _limit(self) -> int:
        """How many task groups to ask for."""
        wanted = min(self._roster.wanted, MAX_LEASE_GROUPS)
        allowance = None if self._gauge is None else self._gauge.allowance
        return wanted if allowance is None else max(1, min(wanted, allowance))

    async def _watch_load(self) -> None:
        """Look now and then at how busy this agent is; say when it is too busy."""
        was_over = False
        while self._gauge is not None:
            began_at = self._clock.monotonic()
            await self._pause(SAMPLE_S)
            if self._stopping.is_set():
                return
            elapsed = self._clock.monotonic() - began_at
            self._gauge.sample(lag_s=max(0.0, elapsed - SAMPLE_S))
            load = self._gauge.load
            if load is None or load.is_over_budget == was_over:
                continue
            was_over = load.is_over_budget
            if was_over:
                log.warning(
                    "Over its CPU budget (%d %% of its cores): this agent takes on less,"
                    " so that its times stay true. Start another agent, or see"
                    " --cpu-budget.",
                    round(load.cpu_percent),
                )
            else:
                log.info("Within its CPU budget again: all that is due is taken on")

    def _pause_after_nothing(self, answer: LeaseAnswer, waited_s: float) -> float:
        if answer.is_legacy:
            delay = self._settings.wait_s
        elif waited_s < SHORT_WAIT_S:
            # It had no room for one more that waits.
            return self._backoff.fail(longest_s=self._settings.wait_s)
        else:
            return 0.0
        log.info("Waiting %d seconds before next retry", round(delay))
        return delay

    def _note_failure(self, err: ServerError) -> float:
        needs_human = isinstance(err, TokenRefused | NotAnArgosServer)
        delay = self._backoff.fail(
            longest_s=REFUSED_PAUSE_S if needs_human else self._settings.wait_s,
            at_least_s=err.retry_after_s or 0.0,
        )
        log.error("Failed to fetch tasks: %s", err)
        if self._outage is not None:
            self._outage.fail(str(err))
        log.info("Waiting %d seconds before next retry", round(delay))
        return delay

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    # Probing

    def _accept(self, tasks: Iterable[Task]) -> None:
        received_at = self._clock.monotonic()
        plan = plan_probes(tasks)
        if self._gauge is not None:
            self._gauge.take(len(plan.groups))
        self._reporter.add(encode_results(plan.hopeless, elapsed=timedelta(0)))
        self._roster.add(Assignment(group, received_at) for group in plan.groups)

    def _end(self, assignment: Assignment) -> None:
        self._roster.end(assignment)

    # Stopping

    async def _wind_down(self) -> None:
        """Give probes under way a moment; hand back the leases of what is not done."""
        unused = self._roster.take_unused()
        unused += await self._prober.wind_down(grace_s=PROBE_GRACE_S)
        leases = {
            (lease.group_id, lease.lease_no): lease
            for assignment in unused
            if (lease := assignment.lease) is not None
        }
        if leases:
            await self._release(list(leases.values()))

    async def _release(self, leases: list[HeldLease]) -> None:
        try:
            async with asyncio.timeout(RELEASE_LIMIT_S):
                await self._server.release(leases)
        except (ServerError, TimeoutError) as err:
            log.warning("Could not hand back leases, which will run out: %s", err)
        else:
            log.info("Handed back %d leases", len(leases))
