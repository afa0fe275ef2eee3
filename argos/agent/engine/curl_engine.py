"""The probe engine proper: libcurl in worker processes, supervised from here.

Probes share no process with the agent's own work, so that neither spoils the other's
clocks, and a crash of C code on a hostile answer costs the agent nothing.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path

import certifi

from argos.agent.engine.descriptors import check_descriptor_limit
from argos.agent.engine.interface import BreakOff, EngineSettings, WhenDone
from argos.agent.engine.link import Run, WorkerLink, start_worker
from argos.core.probe import FailureKind, Outcome, Probe, ProbeFailure
from argos.errors import EngineError

logger = logging.getLogger(__name__)

WATCH_INTERVAL = 0.25
FIRST_RESTART_DELAY = 0.1
MAX_RESTART_DELAY = 30.0
STEADY_AFTER = 10.0
"""Seconds after which a worker's end is not the fault of its start."""
ATTEMPTS = 2
"""A probe whose worker ended is made once more by another."""

_LOST = "The probe worker ended while it had this probe, twice in a row."
_NO_WORKER = "No probe worker is running."
_STOPPING = "The agent is stopping."


class CurlEngine:
    """Probes by libcurl in `settings.workers` processes."""

    name = "curl"

    def __init__(
        self, settings: EngineSettings, *, environment: Mapping[str, str]
    ) -> None:
        self.restarts = 0
        """Workers that ended without being asked."""
        self._settings = replace(settings, ca_file=settings.ca_file or certifi.where())
        self._environment = environment
        self._capacity = settings.workers * settings.slots
        self._under_way = 0
        self._queue: deque[Run] = deque()
        """Beyond the capacity; in the order in which they came."""
        self._stranded: dict[Run, asyncio.TimerHandle] = {}
        """While no worker is running: each until its patience ends."""
        self._links: list[WorkerLink] = []
        self._is_closing = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that are running."""
        return tuple(link.process.pid for link in self._links)

    @property
    def queue_s(self) -> float:
        return max([link.queue_s for link in self._links], default=0.0)

    async def start(self) -> None:
        """Start the workers. Raises EngineError when one of them does not."""
        check_descriptor_limit(self._settings.slots)
        _check_ca_file(self._settings.ca_file or "")
        links = await self._start_all()
        for link in links:
            self._add(link)
        self._tasks = [asyncio.create_task(self._supervise(link)) for link in links]
        self._tasks.append(asyncio.create_task(self._watch()))

    def begin(self, probe: Probe, done: WhenDone) -> BreakOff:
        """Make one probe, in the worker that has the fewest."""
        run = Run(probe, done)
        if self._is_closing:
            asyncio.get_running_loop().call_soon(done, self._failure(_STOPPING))
        elif self._under_way < self._capacity:
            self._under_way += 1
            self._assign(run)
        else:
            self._queue.append(run)
        return partial(self._break_off, run)

    async def probe(self, probe: Probe) -> Outcome:
        """Make one probe and wait for it."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        break_off = self.begin(probe, outcome.set_result)
        try:
            return await outcome
        except asyncio.CancelledError:
            break_off()
            raise

    async def close(self) -> None:
        """End the workers; what they still have ends as `internal`."""
        self._is_closing = True
        links = list(self._links)
        runs = [run for link in links for run in link.take_all()]
        runs += [*self._stranded, *self._queue]
        self._queue.clear()
        for run in runs:
            self._report(run, self._failure(_STOPPING))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A task that is cancelled before its first step does not clean up.
        await asyncio.gather(*(link.close() for link in links))

    def _assign(self, run: Run) -> None:
        """Give a run to a worker, or let it wait for one."""
        if not self._links:
            self._stranded[run] = asyncio.get_running_loop().call_later(
                run.probe.timeout.total_seconds(),
                self._report,
                run,
                self._failure(_NO_WORKER),
            )
            return
        run.attempts += 1
        links = self._links
        link = links[0] if len(links) == 1 else min(links, key=attrgetter("load"))
        link.begin(run)

    def _report(self, run: Run, outcome: Outcome) -> None:
        """End a run; its slot goes to the next one."""
        self._let_go(run)
        try:
            run.done(outcome)
        except Exception:
            # Whoever waited for it made a mistake; others wait, too.
            logger.exception("The outcome of a probe was not taken in")

    def _break_off(self, run: Run) -> None:
        if run.is_over:
            return
        if run.link is not None:
            run.link.break_off(run)
        self._let_go(run)

    def _let_go(self, run: Run) -> None:
        """Give back what a run has: its slot, its worker, its place in a queue."""
        run.is_over = True
        patience = self._stranded.pop(run, None)
        if patience is not None:
            patience.cancel()
        elif run.attempts == 0:
            return  # it is in the queue, and will be passed over
        while self._queue:
            following = self._queue.popleft()
            if not following.is_over:
                self._assign(following)
                return
        self._under_way -= 1

    def _failure(self, message: str) -> ProbeFailure:
        text = _STOPPING if self._is_closing else message
        return ProbeFailure(FailureKind.INTERNAL, text)

    def _add(self, link: WorkerLink) -> None:
        self._links.append(link)
        link.lost.add_done_callback(lambda _: self._remove(link))
        stranded, self._stranded = self._stranded, {}
        for run, patience in stranded.items():
            patience.cancel()
            self._assign(run)

    def _remove(self, link: WorkerLink) -> None:
        self._links.remove(link)
        for run in link.take_all():
            if run.attempts < ATTEMPTS:
                self._assign(run)
            else:
                self._report(run, self._failure(_LOST))

    async def _start_all(self) -> list[WorkerLink]:
        results = await asyncio.gather(
            *(
                start_worker(self._settings, self._environment, self._report)
                for _ in range(self._settings.workers)
            ),
            return_exceptions=True,
        )
        links = [result for result in results if isinstance(result, WorkerLink)]
        faults = [result for result in results if isinstance(result, BaseException)]
        if faults:
            await asyncio.gather(*(link.close() for link in links))
            raise faults[0]
        return links

    async def _supervise(self, link: WorkerLink) -> None:
        """Put another worker in the place of one that ended, again and again."""
        delay = FIRST_RESTART_DELAY
        while True:
            began_at = asyncio.get_running_loop().time()
            try:
                await asyncio.shield(link.lost)
            finally:
                await link.close()
            self.restarts += 1
            if asyncio.get_running_loop().time() - began_at > STEADY_AFTER:
                delay = FIRST_RESTART_DELAY
            logger.error(
                "Probe worker %d ended (exit status %s); another starts in %g s",
                link.process.pid,
                link.process.returncode,
                delay,
            )
            while (replacement := await self._start_after(delay)) is None:
                delay = min(2 * delay, MAX_RESTART_DELAY)
            delay = min(2 * delay, MAX_RESTART_DELAY)
            link = replacement
            self._add(link)

    async def _start_after(self, delay: float) -> WorkerLink | None:
        await self._pause(delay)
        try:
            return await start_worker(self._settings, self._environment, self._report)
        except (EngineError, OSError) as err:
            logger.error("%s", err)  # noqa: TRY400 the worker told its own story
            return None

    async def _watch(self) -> None:
        """End the workers that are stuck."""
        while True:
            await self._pause(WATCH_INTERVAL)
            for link in list(self._links):
                if link.fail_overdue():
                    logger.error("Probe worker %d is stuck", link.process.pid)
                    link.kill()

    @staticmethod
    async def _pause(seconds: float) -> None:
        """Wait; `close` cancels the task, and this with it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().create_future()


def _check_ca_file(ca_file: str) -> None:
    if not Path(ca_file).is_file():
        raise EngineError(f"There is no file of trusted roots at {ca_file}.")
