"""The engine for machines without libcurl: httpx2 in the agent's own process.

It costs ten times more, its clocks suffer from whatever else the agent does, and of a
certificate that is not accepted it knows the reason only. Everything else is as with
libcurl: the same requests, policy, caps, decoding and kinds of failure.
"""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import certifi
import httpx2
from msgspec.structs import replace as change

from argos.agent.engine.address import read_address
from argos.agent.engine.by_task import ByTask
from argos.agent.engine.failure import one_line
from argos.agent.engine.httpx_attempt import Attempt
from argos.agent.engine.httpx_options import Trip, describe_lack, open_transport
from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.redirect import next_hop
from argos.agent.engine.request import ProbeRefusedError, Request, prepare_request
from argos.agent.engine.timing import StallLog
from argos.clock import Clock, system_clock
from argos.core.options import NO_OPTIONS, ProbeOptions
from argos.core.probe import (
    FailureKind,
    IPVersion,
    Outcome,
    Probe,
    ProbeFailure,
    ProbeResponse,
)
from argos.errors import EngineError

MAX_ADDRESSES = 16
"""Of a name, that are known."""
MAX_TRIED = 4
MAX_TRANSPORTS = 64
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
        self._ca_file = settings.ca_file or certifi.where()
        self._transports: dict[ProbeOptions, httpx2.AsyncHTTPTransport] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._stall_task: asyncio.Task[None] | None = None

    @property
    def capacity(self) -> int:
        return self._settings.slots

    async def start(self) -> None:
        """Load the trusted roots. Raises EngineError when something is missing."""
        for name in ("name_servers", "proxy"):
            if getattr(self._settings, name):
                option = f"--{name.removesuffix('s').replace('_', '-')}"
                raise EngineError(
                    f"The engine httpx2 cannot be told of {option}: install pycurl and"
                    " pycares, or leave it out."
                )
        try:
            self._transports[NO_OPTIONS] = open_transport(self._ca_file, NO_OPTIONS)
        except OSError as err:
            message = f"There is no file of trusted roots at {self._ca_file}."
            raise EngineError(message) from err
        # Of its own, so that names on dead servers do not hold up the agent's files.
        self._threads = ThreadPoolExecutor(_RESOLVER_THREADS, "argos-resolver")
        self._stall_task = asyncio.create_task(self._log_stalls())

    async def probe(self, probe: Probe) -> Outcome:
        """Make one probe."""
        reason = describe_lack(probe.options)
        if reason is not None:
            return ProbeFailure(FailureKind.INTERNAL, reason)
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
        timings = change(outcome.timings, timing_error_us=error_us)
        return change(outcome, timings=timings)

    async def close(self) -> None:
        """Break off what is running."""
        self._is_closing = True
        tasks: list[asyncio.Task[Any]] = [*self._running]
        if self._stall_task is not None:
            tasks.append(self._stall_task)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for transport in self._transports.values():
            await transport.aclose()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, probe: Probe, request: Request) -> Outcome:
        began_at = self._clock.monotonic()
        trip = Trip(probe, request, began_at)
        try:
            async with asyncio.timeout(probe.timeout.total_seconds()):
                outcome = await self._travel(trip)
        except TimeoutError as err:
            if trip.attempt is None:
                outcome = _late_name(trip.probe, trip.request)
            else:
                outcome = trip.attempt.failure_of(err, now=self._clock.utcnow())
        return trip.tell(outcome)

    async def _travel(self, trip: Trip) -> Outcome:
        """Make the request, and those to which redirects lead."""
        while True:
            outcome = await self._visit(trip)
            if not isinstance(outcome, ProbeResponse):
                return outcome
            ahead = next_hop(
                trip.probe,
                trip.request,
                outcome,
                trip.visited,
                user_agent=self._settings.user_agent,
                proxy=None,
            )
            if ahead is None:
                return outcome
            if isinstance(ahead, ProbeFailure):
                return change(
                    ahead,
                    timings=outcome.timings,
                    certificate=outcome.certificate,
                    remote_address=outcome.remote_address,
                )
            trip.go_on(ahead)

    async def _visit(self, trip: Trip) -> Outcome:
        probe, request = trip.probe, trip.request
        found = await self._find_addresses(trip)
        if isinstance(found, ProbeFailure):
            return found
        try:
            transport = self._transport_for(request.connection)
        except (OSError, ValueError) as err:
            message = f"The client certificate cannot be used: {one_line(str(err))}."
            return ProbeFailure(FailureKind.INTERNAL, message)
        dns_us = None if request.address else self._microseconds_since(trip.began_at)
        outcome: Outcome = _STOPPING
        for address in found[:MAX_TRIED]:
            trip.attempt = attempt = Attempt(
                probe, request, address, self._clock, dns_us, trip.began_at
            )
            outcome = await self._attempt(attempt, transport)
            if not _is_worth_another(outcome):
                break
        return outcome

    def _transport_for(self, options: ProbeOptions) -> httpx2.AsyncHTTPTransport:
        transport = self._transports.get(options)
        if transport is None:
            transport = open_transport(self._ca_file, options)
            if len(self._transports) < MAX_TRANSPORTS:
                self._transports[options] = transport
        return transport

    async def _attempt(
        self, attempt: Attempt, transport: httpx2.AsyncHTTPTransport
    ) -> Outcome:
        try:
            return await attempt.run(transport)
        except (httpx2.HTTPError, OSError) as err:
            if isinstance(err, TimeoutError):
                raise
            return attempt.failure_of(err, now=self._clock.utcnow())

    async def _find_addresses(self, trip: Trip) -> list[str] | ProbeFailure:
        """The addresses that may be probed, or why there are none."""
        request = trip.request
        found = await self._look_up(trip.probe.ip_version, request)
        if isinstance(found, ProbeFailure):
            return found
        trip.known_addresses = tuple(found)
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
        addresses = dict.fromkeys(str(address[0]) for *_, address in found)
        return list(addresses)[:MAX_ADDRESSES]

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
