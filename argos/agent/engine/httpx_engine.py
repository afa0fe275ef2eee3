"""The engine for machines without libcurl: httpx2 in the agent's own process.

It costs ten times more, its clocks suffer from whatever else the agent does, and of a
certificate that is not accepted it knows the reason only. Everything else is as with
libcurl: the same requests, policy, caps, decoding and kinds of failure.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import certifi
import httpx2

from argos.agent.engine.address import read_address
from argos.agent.engine.by_task import ByTask
from argos.agent.engine.failure import one_line
from argos.agent.engine.httpx_attempt import Attempt
from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.request import ProbeRefusedError, Request, prepare_request
from argos.agent.engine.timing import StallLog
from argos.clock import Clock, system_clock
from argos.core.probe import FailureKind, IPVersion, Outcome, Probe, ProbeFailure
from argos.errors import EngineError

MAX_ADDRESSES = 4
_RESOLVER_THREADS = 64
_STALL_INTERVAL = 0.05
_FAMILIES = {IPVersion.V4: socket.AF_INET, IPVersion.V6: socket.AF_INET6}
LookUp = Callable[..., list[Any]]
"""`socket.getaddrinfo`, or a stand-in."""

_STOPPING = ProbeFailure(FailureKind.INTERNAL, "The agent is stopping.")


class HttpxEngine(ByTask):
    """Probes by httpx2."""

    name = "httpx2"

    def __init__(
        self,
        settings: EngineSettings,
        *,
        clock: Clock = system_clock,
        look_up: LookUp = socket.getaddrinfo,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._blocking_look_up = look_up
        self._clock = clock
        self._slots = asyncio.Semaphore(settings.slots)
        self._stalls = StallLog(clock)
        self._running: set[asyncio.Task[Outcome]] = set()
        self._is_closing = False
        self._transport: httpx2.AsyncHTTPTransport | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._stall_task: asyncio.Task[None] | None = None

    @property
    def capacity(self) -> int:
        return self._settings.slots

    async def start(self) -> None:
        """Load the trusted roots. Raises EngineError when there are none."""
        ca_file = self._settings.ca_file or certifi.where()
        try:
            context = ssl.create_default_context(cafile=ca_file)
        except OSError as err:
            message = f"There is no file of trusted roots at {ca_file}."
            raise EngineError(message) from err
        self._transport = httpx2.AsyncHTTPTransport(
            verify=context,
            trust_env=False,
            limits=httpx2.Limits(max_keepalive_connections=0, max_connections=None),
        )
        # Of its own, so that names on dead servers do not hold up the agent's files.
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, "argos-resolver")
        self._stall_task = asyncio.create_task(self._log_stalls())

    async def probe(self, probe: Probe) -> Outcome:
        """Make one probe."""
        try:
            request = prepare_request(probe, user_agent=self._settings.user_agent)
        except ProbeRefusedError as err:
            return ProbeFailure(FailureKind.REFUSED, str(err))
        async with self._slots:
            if self._is_closing:
                return _STOPPING
            began_at = self._clock.monotonic()
            task = asyncio.create_task(self._run(probe, request))
            self._running.add(task)
            try:
                outcome = await task
            except asyncio.CancelledError:
                if self._is_closing:
                    return _STOPPING
                raise
            finally:
                self._running.discard(task)
        error_us = round(self._stalls.longest_since(began_at) * 1_000_000)
        timings = replace(outcome.timings, timing_error_us=error_us)
        return replace(outcome, timings=timings)

    async def close(self) -> None:
        """Break off what is running."""
        self._is_closing = True
        tasks: list[asyncio.Task[Any]] = [*self._running]
        if self._stall_task is not None:
            tasks.append(self._stall_task)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._transport is not None:
            await self._transport.aclose()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, probe: Probe, request: Request) -> Outcome:
        began_at = self._clock.monotonic()
        attempt: Attempt | None = None
        try:
            async with asyncio.timeout(probe.timeout.total_seconds()):
                found = await self._find_addresses(probe, request)
                if isinstance(found, ProbeFailure):
                    return found
                dns_us = None if request.address else self._microseconds_since(began_at)
                outcome: Outcome = _STOPPING
                for address in found:
                    attempt = Attempt(
                        probe, request, address, self._clock, dns_us, began_at
                    )
                    outcome = await self._attempt(attempt)
                    if not _is_worth_another(outcome):
                        break
                return outcome
        except TimeoutError as err:
            if attempt is None:
                return _late_name(probe, request)
            return attempt.failure_of(err, now=self._clock.utcnow())

    async def _attempt(self, attempt: Attempt) -> Outcome:
        assert self._transport is not None
        try:
            return await attempt.run(self._transport)
        except (httpx2.HTTPError, OSError) as err:
            if isinstance(err, TimeoutError):
                raise
            return attempt.failure_of(err, now=self._clock.utcnow())

    async def _find_addresses(
        self, probe: Probe, request: Request
    ) -> list[str] | ProbeFailure:
        """The addresses that may be probed, or why there are none."""
        found = await self._look_up(probe.ip_version, request)
        if isinstance(found, ProbeFailure):
            return found
        refusals = {address: self._refusal(address, request.port) for address in found}
        allowed = [address for address in found if refusals[address] is None]
        if allowed:
            return allowed
        reason = refusals[found[0]]
        return ProbeFailure(FailureKind.REFUSED, f"This agent may not: {reason}.")

    async def _look_up(
        self, version: IPVersion, request: Request
    ) -> list[str] | ProbeFailure:
        if request.address is not None:
            if str(request.address.version) == version:
                return [request.host]
            message = f"{request.host} is not an IPv{version} address."
            return ProbeFailure(FailureKind.DNS, message)
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self._threads,
                partial(
                    self._blocking_look_up,
                    request.host,
                    request.port,
                    family=_FAMILIES[version],
                    type=socket.SOCK_STREAM,
                ),
            )
        except OSError as err:
            reason = one_line(err.strerror or "unknown")
            message = f"The address of {request.host} was not found: {reason}."
            return ProbeFailure(FailureKind.DNS, message)
        return [str(address[0]) for *_, address in found][:MAX_ADDRESSES]

    def _refusal(self, text: str, port: int) -> str | None:
        address = read_address(text)
        if address is None:
            return f"{text} is an address of one network card"
        return self._settings.policy.refusal(address, port)

    async def _log_stalls(self) -> None:
        """Measure how late this loop is, again and again."""
        while True:
            due_at = self._clock.monotonic() + _STALL_INTERVAL
            self._stalls.begin(due_at)
            with suppress(TimeoutError):
                async with asyncio.timeout(_STALL_INTERVAL):
                    await asyncio.get_running_loop().create_future()
            self._stalls.end(self._clock.monotonic())

    def _microseconds_since(self, moment: float) -> int:
        return round((self._clock.monotonic() - moment) * 1_000_000)


def _is_worth_another(outcome: Outcome) -> bool:
    """Whether another address of the name may do better."""
    return isinstance(outcome, ProbeFailure) and outcome.kind is FailureKind.CONNECT


def _late_name(probe: Probe, request: Request) -> ProbeFailure:
    return ProbeFailure(
        FailureKind.TIMEOUT,
        f"The address of {request.host} was not found"
        f" within {probe.timeout.total_seconds():g} s.",
    )
