"""The probe engine proper: libcurl in worker processes, supervised from here.

Probes share no process with the agent's own work, so that neither spoils the other's
clocks, and a crash of C code on a hostile answer costs the agent nothing.
"""

import asyncio
import logging
import resource
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import certifi

from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.link import WorkerLink, start_worker
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

# Beside one socket per probe: closing ones, and what Python and c-ares keep open.
_SOCKETS_PER_SLOT = 2
_OTHER_DESCRIPTORS = 64

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
        self._slots = asyncio.Semaphore(self.capacity)
        self._links: list[WorkerLink] = []
        self._has_link = asyncio.Event()
        self._is_closing = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def capacity(self) -> int:
        return self._settings.workers * self._settings.slots

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers that are running."""
        return tuple(link.process.pid for link in self._links)

    async def start(self) -> None:
        """Start the workers. Raises EngineError when one of them does not."""
        _check_descriptor_limit(self._settings.slots)
        _check_ca_file(self._settings.ca_file or "")
        links = await self._start_all()
        for link in links:
            self._add(link)
        self._tasks = [asyncio.create_task(self._supervise(link)) for link in links]
        self._tasks.append(asyncio.create_task(self._watch()))

    async def probe(self, probe: Probe) -> Outcome:
        """Make one probe, in the worker that has the fewest."""
        async with self._slots:
            for _ in range(ATTEMPTS):
                link = await self._choose(probe.timeout.total_seconds())
                if link is None:
                    return self._failure(_NO_WORKER)
                outcome = await link.run(probe)
                if outcome is not None:
                    return outcome
            return self._failure(_LOST)

    async def close(self) -> None:
        """End the workers; what they still have ends as `internal`."""
        self._is_closing = True
        links = list(self._links)
        for link in links:
            link.settle_all(self._failure(_STOPPING))
        # Whoever waits for a worker is told that none will come.
        self._has_link.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # A task that is cancelled before its first step does not clean up.
        await asyncio.gather(*(link.close() for link in links))

    def _failure(self, message: str) -> ProbeFailure:
        text = _STOPPING if self._is_closing else message
        return ProbeFailure(FailureKind.INTERNAL, text)

    async def _choose(self, patience: float) -> WorkerLink | None:
        if not self._has_link.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_link.wait(), patience)
        if self._is_closing:
            return None
        return min(self._links, key=attrgetter("load"), default=None)

    def _add(self, link: WorkerLink) -> None:
        self._links.append(link)
        self._has_link.set()
        link.lost.add_done_callback(lambda _: self._remove(link))

    def _remove(self, link: WorkerLink) -> None:
        self._links.remove(link)
        if not self._links and not self._is_closing:
            self._has_link.clear()

    async def _start_all(self) -> list[WorkerLink]:
        results = await asyncio.gather(
            *(
                start_worker(self._settings, self._environment)
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
            return await start_worker(self._settings, self._environment)
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


def _check_descriptor_limit(slots: int) -> None:
    needed = slots * _SOCKETS_PER_SLOT + _OTHER_DESCRIPTORS
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise EngineError(
            f"{slots} probes at once need {needed} file descriptors per worker, and"
            f" the limit is {limit}: take fewer, or raise it (ulimit -Hn)."
        )


def _check_ca_file(ca_file: str) -> None:
    if not Path(ca_file).is_file():
        raise EngineError(f"There is no file of trusted roots at {ca_file}.")
