"""The life of a probe in a worker: queue, name, attempts, outcome."""

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from itertools import count

from argos.agent.engine.certificate_book import CertificateBook
from argos.agent.engine.driver import Driver
from argos.agent.engine.ending import Ending
from argos.agent.engine.failure import CurlCode
from argos.agent.engine.fan import MAX_ADDRESSES, Fan
from argos.agent.engine.gate import Gate
from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.journey import (
    branch,
    follow,
    needs_second_look,
    other_version,
    second_look,
    with_details,
)
from argos.agent.engine.plain import PlainDriver
from argos.agent.engine.proxy import Proxy
from argos.agent.engine.request import (
    ProbeRefusedError,
    prepare_request,
)
from argos.agent.engine.resolver import Resolution, Resolvers
from argos.agent.engine.target import Target
from argos.agent.engine.timing import StallLog
from argos.agent.engine.transfer import Intake, Transfer
from argos.clock import Clock
from argos.core.probe import (
    FailureKind,
    IPVersion,
    Outcome,
    Probe,
    ProbeFailure,
    ProbeResponse,
    Timings,
)

logger = logging.getLogger(__name__)

MAX_FRESH_HANDSHAKES = 32
FRESH_TIME = 0.1
"""Seconds during which a handshake is likely to need our CPU.

Only those are counted: a website that never ends its handshake must not hold up
others. A burst of more waits its turn, at the worst 320 a second.
"""
_ADMISSION_INTERVAL = 0.01
_NO_ADDRESSES = ProbeFailure(
    FailureKind.INTERNAL,
    "Nobody but the proxy knows the addresses of the website: the probe options"
    " all_addresses and proxy do not go together.",
)
MAX_TRIED = 4
"""Addresses of a name that are tried, one after the other."""

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
        resolver: Resolvers,
        intake: Intake,
        report: Report,
    ) -> None:
        self._settings = settings
        self._now = clock.monotonic
        self._stalls = stalls
        self._resolver = resolver
        self._report = report
        self._intake = intake
        self._targets: dict[int, Target | ProbeFailure] = {}
        self._transfers: dict[int, Transfer] = {}
        self._waiting: deque[Transfer] = deque()
        self._fresh: list[Transfer] = []
        self._certificates = CertificateBook(clock)
        self._gate = Gate(settings.policy)
        self._lookup_deadlines: list[tuple[float, int]] = []
        self._lookups: dict[int, Transfer] = {}
        self._lookup_ids = count(1)
        self.driver: Driver
        self.plain: PlainDriver
        """Both set by whoever joins them; each needs the other."""

    def learn(self, key: int, probe: Probe) -> None:
        """Check a probe and remember it; `take_in` names it by its key."""
        try:
            request = prepare_request(
                probe,
                user_agent=self._settings.user_agent,
                proxy=self._settings.proxy,
            )
            self._gate.check_name_server(probe.options.name_server)
        except ProbeRefusedError as err:
            self._targets[key] = ProbeFailure(FailureKind.REFUSED, str(err))
        else:
            self._targets[key] = Target(probe, request)
            if request.proxy is not None and probe.options.all_addresses:
                self._targets[key] = _NO_ADDRESSES

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
        transfer.started_at = self._now()
        self._transfers[number] = transfer
        self._waiting.append(transfer)

    def cancel(self, number: int) -> None:
        """Forget a probe; one that is over already is no error."""
        transfer = self._transfers.pop(number, None)
        if transfer is not None:
            for each in (transfer, *(transfer.fan.transfers if transfer.fan else ())):
                each.release()
                self.driver.cancel(each)
                self.plain.cancel(each)

    @property
    def queue_s(self) -> float:
        """How long the first of those that wait for their turn has waited."""
        return self._now() - self._waiting[0].started_at if self._waiting else 0.0

    def admit(self) -> None:
        """Begin the probes whose turn it is."""
        while self._waiting:
            transfer = self._waiting[0]
            if transfer.target.is_tls and not self._has_room():
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
            _, lookup_id = heappop(self._lookup_deadlines)
            transfer = self._lookups.pop(lookup_id, None)
            if transfer is not None and not transfer.is_over:
                timeout = transfer.probe.timeout.total_seconds()
                self._fail(
                    transfer,
                    FailureKind.TIMEOUT,
                    f"The address of {transfer.request.place_to_find} was not found"
                    f" within {timeout:g} s.",
                )

    def on_done(self, transfer: Transfer, ending: Ending) -> None:
        """An attempt is over: try the next address, or make the outcome."""
        is_established = transfer.is_established
        if not is_established and self._has_another_attempt(transfer, ending.code):
            transfer.earlier_us += ending.attempt_us
            self._attempt(transfer)
            return
        ending.timing_error_us = self._timing_error_us(transfer)
        try:
            outcome = ending.outcome()
        except Exception:
            # A loop's edge: an answer that trips us must not end the other probes.
            logger.exception("An answer of %s made us stumble", transfer.request.host)
            outcome = ProbeFailure(FailureKind.INTERNAL, "Argos stumbled over this.")
        if transfer.wants_certificate:
            self._certificates.note(transfer, outcome)
        self._go_on_or_end(transfer, outcome)

    def _has_another_attempt(self, transfer: Transfer, code: int) -> bool:
        """Whether an attempt that came to no connection, and so ended, is not the last."""
        if self._remaining(transfer) <= 0:
            return False
        if code == CurlCode.PEER_FAILED_VERIFICATION and transfer.certificate:
            # It was accepted lately, and not read this time: see what is wrong with it.
            self._certificates.forget(transfer)
            transfer.addresses = (transfer.address, *transfer.addresses)
            return True
        return bool(transfer.addresses) and code in _TRY_NEXT_ADDRESS

    def _go_on_or_end(self, transfer: Transfer, outcome: Outcome) -> None:
        if isinstance(outcome, ProbeResponse):
            if transfer.probe.options.follow and self._remaining(transfer) > 0:
                ahead = follow(transfer, outcome, self._settings)
                if isinstance(ahead, Transfer):
                    ahead.former_us = self._elapsed_us(transfer) + transfer.former_us
                    self._take_over(transfer, ahead)
                    ahead.started_at = self._now()
                    self._route(ahead)
                    return
                outcome = ahead
        elif needs_second_look(transfer, outcome) and self._remaining(transfer) > 0:
            again = second_look(transfer, outcome)
            self._take_over(transfer, again)
            self._attempt(again)
            return
        self._end(transfer, outcome)

    def _take_over(self, transfer: Transfer, heir: Transfer) -> None:
        """Put a transfer in the place of another one, whose answer led to it."""
        transfer.release()
        if transfer.fan is None:
            self._transfers[transfer.number] = heir
        else:
            transfer.fan.transfers.append(heir)
        if heir.target.is_tls:
            self._fresh.append(heir)

    def _begin(self, transfer: Transfer) -> None:
        transfer.started_at = now = self._now()
        transfer.deadline_at = now + transfer.probe.timeout.total_seconds()
        if transfer.target.is_tls:
            self._fresh.append(transfer)
        self._route(transfer)

    def _route(self, transfer: Transfer) -> None:
        """Find out where to connect to."""
        request = transfer.request
        if request.proxy is not None:
            self._route_by_proxy(transfer, request.proxy)
        elif request.address is None:
            self._look_up(transfer)
        elif not transfer.target.has_right_version:
            self._fail(
                transfer,
                FailureKind.DNS,
                f"{request.host} is not an IPv{transfer.probe.ip_version} address.",
            )
        else:
            self._choose(transfer, (request.host,))

    def _route_by_proxy(self, transfer: Transfer, proxy: Proxy) -> None:
        """Reach the proxy, over whatever IP version; the rest of the way is its own."""
        target = transfer.request.address
        refusal = target and self._gate.refusal(str(target), transfer.request.port)
        if refusal:
            message = f"This agent may not: {refusal}."
            self._fail(transfer, FailureKind.REFUSED, message)
        elif proxy.address is not None:
            self._choose(transfer, (str(proxy.address),))
        else:
            self._look_up(transfer)

    def _look_up(self, transfer: Transfer, version: IPVersion | None = None) -> None:
        request, probe = transfer.request, transfer.probe
        server = probe.options.name_server
        resolver = self._resolver if server is None else self._resolver.of(server)
        resolver.resolve(
            request.place_to_find,
            version or probe.ip_version,
            partial(self._on_resolved, transfer, is_last=version is not None),
        )
        if transfer.dns_us is None and not transfer.is_over and not transfer.lookup_id:
            transfer.lookup_id = next(self._lookup_ids)
            self._lookups[transfer.lookup_id] = transfer
            entry = (transfer.deadline_at, transfer.lookup_id)
            heappush(self._lookup_deadlines, entry)

    def _on_resolved(
        self, transfer: Transfer, resolution: Resolution, *, is_last: bool
    ) -> None:
        if transfer.is_over:
            return
        is_proxy = transfer.request.proxy is not None
        if resolution.failure is not None and is_proxy and not is_last:
            self._look_up(transfer, other_version(transfer.probe.ip_version))
            return
        if transfer.lookup_id:
            self._lookups.pop(transfer.lookup_id, None)
        transfer.dns_us = self._elapsed_us(transfer)
        if resolution.failure is not None and is_proxy:
            message = f"The proxy cannot be found: {resolution.failure}"
            self._fail(transfer, FailureKind.INTERNAL, message)
            return
        if resolution.failure is not None:
            # A name server of the website's own is a part of it.
            is_ours = transfer.probe.options.name_server is None
            is_internal = resolution.is_unasked and is_ours
            kind = FailureKind.INTERNAL if is_internal else FailureKind.DNS
            self._fail(transfer, kind, resolution.failure)
            return
        if not is_proxy:
            transfer.known_addresses = resolution.addresses
        self._choose(transfer, resolution.addresses)

    def _choose(self, transfer: Transfer, addresses: tuple[str, ...]) -> None:
        """Keep the addresses that may be probed, and try the first."""
        if transfer.probe.options.all_addresses and transfer.fan is None:
            self._fan_out(transfer, addresses)
            return
        proxy = transfer.request.proxy
        refusal: str | None = None
        if proxy is None or not proxy.is_trusted:
            port = transfer.request.port if proxy is None else proxy.port
            addresses, refusal = self._gate.sift(addresses, port)
        if addresses:
            transfer.addresses = addresses[:MAX_TRIED]
            self._attempt(transfer)
            return
        reason = f"This agent may not: {refusal}."
        self._fail(transfer, FailureKind.REFUSED, reason)

    def _fan_out(self, transfer: Transfer, addresses: tuple[str, ...]) -> None:
        """Probe all addresses at once, each by a transfer of its own."""
        chosen = addresses[:MAX_ADDRESSES]
        transfer.fan = Fan(chosen)
        children = [branch(transfer, address, self._intake) for address in chosen]
        transfer.fan.transfers += children
        for child in children:
            if child.target.is_tls:
                self._fresh.append(child)
            self._choose(child, (child.fan_place,))

    def _attempt(self, transfer: Transfer) -> None:
        addresses = transfer.addresses
        transfer.address, transfer.addresses = addresses[0], addresses[1:]
        if transfer.wants_certificate:
            transfer.certificate = self._certificates.find(transfer)
        remaining = transfer.deadline_at - self._now()
        plain = transfer.target.plain_request
        if plain is None:
            self.driver.start(transfer, remaining=remaining)
        else:
            self.plain.start(transfer, plain, remaining=remaining)

    def _fail(self, transfer: Transfer, kind: FailureKind, message: str) -> None:
        timings = Timings(
            dns_us=transfer.dns_us,
            total_us=self._elapsed_us(transfer),
            timing_error_us=self._timing_error_us(transfer),
        )
        self._end(transfer, ProbeFailure(kind, message, timings=timings))

    def _end(self, transfer: Transfer, outcome: Outcome) -> None:
        transfer.release()
        outcome = with_details(transfer, outcome)
        if transfer.fan is not None:
            joined = transfer.fan.collect(transfer.fan_place, outcome)
            if joined is None:
                return
            outcome = joined
        whole = self._transfers.pop(transfer.number)
        if whole is not transfer:
            whole.release()
        self._report(transfer.number, outcome)

    def _has_room(self) -> bool:
        """Whether another handshake may begin; see FRESH_TIME."""
        since = self._now() - FRESH_TIME
        self._fresh = [
            transfer
            for transfer in self._fresh
            if transfer.started_at > since
            and not transfer.is_established
            and not transfer.is_over
        ]
        return len(self._fresh) < MAX_FRESH_HANDSHAKES

    def _remaining(self, transfer: Transfer) -> float:
        return transfer.deadline_at - self._now()

    def _elapsed_us(self, transfer: Transfer) -> int:
        return round((self._now() - transfer.started_at) * 1_000_000)

    def _timing_error_us(self, transfer: Transfer) -> int:
        return round(self._stalls.longest_since(transfer.started_at) * 1_000_000)
