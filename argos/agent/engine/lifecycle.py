"""The life of a probe in a worker: queue, name, attempts, outcome."""

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush

import pycurl

from argos.agent.engine.address import read_address
from argos.agent.engine.certificate_book import CertificateBook
from argos.agent.engine.driver import Driver
from argos.agent.engine.failure import CurlCode
from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.outcome import Finish
from argos.agent.engine.request import ProbeRefusedError, prepare_request
from argos.agent.engine.resolver import Resolution, Resolver
from argos.agent.engine.target import Target
from argos.agent.engine.timing import StallLog
from argos.agent.engine.transfer import Intake, Transfer
from argos.clock import Clock
from argos.core.probe import FailureKind, Outcome, Probe, ProbeFailure, Timings

logger = logging.getLogger(__name__)

MAX_FRESH_HANDSHAKES = 32
FRESH_TIME = 0.1
"""Seconds during which a handshake is likely to need our CPU.

Only those are counted: a website that never ends its handshake must not hold up
others. A burst of more waits its turn, at the worst 320 a second.
"""
_ADMISSION_INTERVAL = 0.01
_MAX_REFUSALS = 4096

# An attempt that ended so says nothing of the other addresses of the name.
_TRY_NEXT_ADDRESS = frozenset({CurlCode.COULDNT_CONNECT, CurlCode.OPERATION_TIMEDOUT})

Report = Callable[[int, Outcome], None]


class Lifecycle:
    """Brings every probe it takes in to one outcome, unless it is cancelled."""

    def __init__(
        self,
        settings: EngineSettings,
        *,
        clock: Clock,
        stalls: StallLog,
        resolver: Resolver,
        intake: Intake,
        report: Report,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._stalls = stalls
        self._resolver = resolver
        self._report = report
        self._intake = intake
        self._targets: dict[int, Target | ProbeFailure] = {}
        self._transfers: dict[int, Transfer] = {}
        self._waiting: deque[Transfer] = deque()
        self._fresh: list[Transfer] = []
        self._certificates = CertificateBook(clock)
        self._refusals: dict[tuple[str, int], str | None] = {}
        self._lookup_deadlines: list[tuple[float, int]] = []
        self.driver: Driver
        """Set by whoever joins the two; each needs the other."""

    def learn(self, key: int, probe: Probe) -> None:
        """Check a probe and remember it; `take_in` names it by its key."""
        try:
            request = prepare_request(probe, user_agent=self._settings.user_agent)
        except ProbeRefusedError as err:
            self._targets[key] = ProbeFailure(FailureKind.REFUSED, str(err))
        else:
            self._targets[key] = Target(probe, request)

    def forget(self, key: int) -> None:
        """Another probe may get this key; what is under way goes on."""
        del self._targets[key]

    def take_in(self, number: int, key: int) -> None:
        """Queue a probe, or report at once why it cannot be made."""
        target = self._targets[key]
        if isinstance(target, ProbeFailure):
            self._report(number, target)
            return
        transfer = Transfer(number, target, self._intake)
        self._transfers[number] = transfer
        self._waiting.append(transfer)

    def cancel(self, number: int) -> None:
        """Forget a probe; one that is over already is no error."""
        transfer = self._transfers.pop(number, None)
        if transfer is not None:
            transfer.release()
            self.driver.cancel(transfer)

    def admit(self) -> None:
        """Begin the probes whose turn it is."""
        while self._waiting:
            transfer = self._waiting[0]
            if transfer.request.is_tls and not self._has_room():
                return
            self._waiting.popleft()
            if not transfer.is_over:
                self._begin(transfer)

    def patience(self, now: float) -> float | None:
        """Seconds until `admit` or `process_lookups` has something to do."""
        if self._waiting:
            return _ADMISSION_INTERVAL
        if not self._lookup_deadlines:
            return None
        return max(0.0, self._lookup_deadlines[0][0] - now)

    def process_lookups(self, now: float) -> None:
        """End the probes whose names were not found within their deadlines."""
        while self._lookup_deadlines and self._lookup_deadlines[0][0] <= now:
            _, number = heappop(self._lookup_deadlines)
            transfer = self._transfers.get(number)
            if transfer is not None and transfer.dns_us is None:
                timeout = transfer.probe.timeout.total_seconds()
                self._fail(
                    transfer,
                    FailureKind.TIMEOUT,
                    f"The address of {transfer.request.host} was not found"
                    f" within {timeout:g} s.",
                )

    def on_done(
        self, transfer: Transfer, curl: pycurl.Curl, code: int, text: str
    ) -> None:
        """An attempt is over: try the next address, or make the outcome."""
        if self._has_another_attempt(transfer, code):
            transfer.earlier_us += curl.getinfo(pycurl.TOTAL_TIME_T)
            self._attempt(transfer)
            return
        finish = Finish(
            transfer,
            curl,
            code,
            text,
            clock=self._clock,
            timing_error_us=self._timing_error_us(transfer),
        )
        try:
            outcome = finish.outcome()
        except Exception:
            # A loop's edge: an answer that trips us must not end the other probes.
            logger.exception("An answer of %s made us stumble", transfer.request.host)
            outcome = ProbeFailure(FailureKind.INTERNAL, "Argos stumbled over this.")
        if transfer.wants_certificate:
            self._certificates.note(transfer, outcome)
        self._end(transfer, outcome)

    def _has_another_attempt(self, transfer: Transfer, code: int) -> bool:
        """Whether an attempt that ended so is not the last one."""
        if transfer.is_established or self._remaining(transfer) <= 0:
            return False
        if code == CurlCode.PEER_FAILED_VERIFICATION and transfer.certificate:
            # It was accepted lately, and not read this time: see what is wrong with it.
            self._certificates.forget(transfer)
            transfer.addresses.insert(0, transfer.address)
            return True
        return bool(transfer.addresses) and code in _TRY_NEXT_ADDRESS

    def _begin(self, transfer: Transfer) -> None:
        transfer.started_at = now = self._clock.monotonic()
        transfer.deadline_at = now + transfer.probe.timeout.total_seconds()
        request = transfer.request
        if request.is_tls:
            self._fresh.append(transfer)
        if request.address is None:
            self._look_up(transfer)
        elif str(request.address.version) != transfer.probe.ip_version:
            self._fail(
                transfer,
                FailureKind.DNS,
                f"{request.host} is not an IPv{transfer.probe.ip_version} address.",
            )
        else:
            self._choose(transfer, (request.host,))

    def _look_up(self, transfer: Transfer) -> None:
        self._resolver.resolve(
            transfer.request.host,
            transfer.probe.ip_version,
            partial(self._on_resolved, transfer),
        )
        if transfer.dns_us is None and not transfer.is_over:
            entry = (transfer.deadline_at, transfer.number)
            heappush(self._lookup_deadlines, entry)

    def _on_resolved(self, transfer: Transfer, resolution: Resolution) -> None:
        if transfer.is_over:
            return
        transfer.dns_us = self._elapsed_us(transfer)
        if resolution.failure is not None:
            self._fail(transfer, FailureKind.DNS, resolution.failure)
            return
        self._choose(transfer, resolution.addresses)

    def _choose(self, transfer: Transfer, addresses: tuple[str, ...]) -> None:
        """Keep the addresses that may be probed, and try the first."""
        port = transfer.request.port
        refusals = [self._refusal(address, port) for address in addresses]
        transfer.addresses = [
            address
            for address, refusal in zip(addresses, refusals, strict=True)
            if refusal is None
        ]
        if transfer.addresses:
            self._attempt(transfer)
            return
        reason = f"This agent may not: {refusals[0]}."
        self._fail(transfer, FailureKind.REFUSED, reason)

    def _refusal(self, address: str, port: int) -> str | None:
        """What the policy says, remembered: reading an address is slow."""
        key = (address, port)
        if key not in self._refusals:
            if len(self._refusals) >= _MAX_REFUSALS:
                self._refusals.clear()
            parsed = read_address(address)
            assert parsed is not None
            self._refusals[key] = self._settings.policy.refusal(parsed, port)
        return self._refusals[key]

    def _attempt(self, transfer: Transfer) -> None:
        transfer.address = transfer.addresses.pop(0)
        if transfer.wants_certificate:
            transfer.certificate = self._certificates.find(transfer)
        self.driver.start(transfer, remaining=self._remaining(transfer))

    def _fail(self, transfer: Transfer, kind: FailureKind, message: str) -> None:
        timings = Timings(
            dns_us=transfer.dns_us,
            total_us=self._elapsed_us(transfer),
            timing_error_us=self._timing_error_us(transfer),
        )
        self._end(transfer, ProbeFailure(kind, message, timings=timings))

    def _end(self, transfer: Transfer, outcome: Outcome) -> None:
        transfer.release()
        del self._transfers[transfer.number]
        self._report(transfer.number, outcome)

    def _has_room(self) -> bool:
        """Whether another handshake may begin; see FRESH_TIME."""
        since = self._clock.monotonic() - FRESH_TIME
        self._fresh = [
            transfer
            for transfer in self._fresh
            if transfer.started_at > since
            and not transfer.is_established
            and not transfer.is_over
        ]
        return len(self._fresh) < MAX_FRESH_HANDSHAKES

    def _remaining(self, transfer: Transfer) -> float:
        return transfer.deadline_at - self._clock.monotonic()

    def _elapsed_us(self, transfer: Transfer) -> int:
        return round((self._clock.monotonic() - transfer.started_at) * 1_000_000)

    def _timing_error_us(self, transfer: Transfer) -> int:
        return round(self._stalls.longest_since(transfer.started_at) * 1_000_000)
