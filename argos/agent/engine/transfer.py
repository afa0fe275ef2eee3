"""One probe under way in a worker: its request, what came so far, its clocks."""

from dataclasses import dataclass, field

import pycurl

from argos.agent.engine.address import read_address
from argos.agent.engine.fan import Fan
from argos.agent.engine.header import HeaderBlock
from argos.agent.engine.tap import Tap
from argos.agent.engine.target import Target
from argos.core.probe import Certificate, ProbeFailure

_STOP = 0
"""What a libcurl callback returns to end its transfer: nothing was taken in."""

MAX_PIECES = 100_000
"""Pieces of a body: a website that sends chunks of a byte has its body cut."""
PIECES_PER_TURN = 256
"""Beyond it a body pauses: else libcurl reads for as long as there is something."""


@dataclass(slots=True)
class Intake:
    """What the transfers of a worker share while bodies come in."""

    limit: int
    """Bytes of all bodies together."""
    used: int = 0
    paused: "list[Transfer]" = field(default_factory=list)
    """Those that wait for the next turn of the loop."""


class Transfer:
    """The state of a probe between being taken in and its outcome."""

    __slots__ = (
        "_body",
        "_pieces",
        "_pieces_in_turn",
        "address",
        "addresses",
        "certificate",
        "curl",
        "deadline_at",
        "dns_us",
        "earlier_us",
        "fan",
        "fan_place",
        "former_us",
        "header",
        "intake",
        "is_body_cut",
        "is_established",
        "is_memory_full",
        "is_over",
        "known_addresses",
        "lookup_id",
        "number",
        "probe",
        "queued_at",
        "request",
        "setback",
        "started_at",
        "tap",
        "target",
        "visited",
    )

    def __init__(  # noqa: PLR0915  # one line for each slot
        self, number: int, target: Target, intake: Intake
    ) -> None:
        self.number = number
        self.target = target
        self.probe = target.probe
        self.request = target.request
        self.curl: pycurl.Curl | None = None
        """What it runs on, while it runs."""
        self.queued_at = 0.0
        self.started_at = 0.0
        self.deadline_at = 0.0
        """On the loop's monotonic clock; the time in the queue does not count."""
        self.dns_us: int | None = None
        self.earlier_us = 0
        """What attempts at other addresses took before this one."""
        self.addresses: list[str] = []
        """What is left to be tried."""
        self.address = ""
        self.certificate: Certificate | None = None
        """What the website showed lately; None: it is read in this attempt."""
        self.known_addresses: tuple[str, ...] = ()
        """All of the name."""
        self.former_us = 0
        """What the answers took that redirected here."""
        self.visited: tuple[str, ...] = ()
        """The URLs so far, after a redirect; this request's the last of them."""
        self.setback: ProbeFailure | None = None
        """Why the same is done again: the handshake broke off before the certificate
        was seen."""
        self.fan: Fan | None = None
        """Where all addresses are probed: what brings them together."""
        self.fan_place = ""
        """The address for which it stands there."""
        self.lookup_id = 0
        """While its name is looked up."""
        self.tap = Tap() if target.request.is_tapped else None
        self.is_over = False
        """It has an outcome, or nobody waits for it any more."""
        self.intake = intake
        self._pieces = 0
        self._pieces_in_turn = 0
        self._body = bytearray()
        self.header = HeaderBlock()
        self.is_established = False
        """TCP and TLS stand; the request goes out."""
        self.is_body_cut = False
        self.is_memory_full = False

    @property
    def wants_certificate(self) -> bool:
        """Whether its certificate is part of the outcome."""
        return self.request.is_tls and self.probe.wants_certificate

    @property
    def body(self) -> bytes:
        """The body as it came, at most the probe's cap of it."""
        return bytes(self._body)

    def release(self) -> None:
        """Give the memory of the body back."""
        self.intake.used -= len(self._body)
        self._body = bytearray()
        self.is_over = True

    def on_body(self, chunk: bytes) -> int | None:
        """Take a piece of the body in, up to the caps (libcurl's callback)."""
        if self._pieces_in_turn >= PIECES_PER_TURN:
            self.intake.paused.append(self)
            pause: int = pycurl.WRITEFUNC_PAUSE
            return pause
        self._pieces += 1
        self._pieces_in_turn += 1
        room = self.probe.max_body_bytes - len(self._body)
        if len(chunk) > room or self._pieces > MAX_PIECES:
            self.is_body_cut = True
            chunk = chunk[:room]
        # Not a list of pieces: a million of one byte each would take 40 MB.
        self._body += chunk
        self.intake.used += len(chunk)
        self.is_memory_full = self.intake.used > self.intake.limit
        return _STOP if self.is_body_cut or self.is_memory_full else None

    def begin_turn(self) -> None:
        """Another turn of the loop: as many pieces again may come in."""
        self._pieces_in_turn = 0

    def on_connected(self, address: str, _own: str, _port: int, _own_port: int) -> int:
        """Look, before anything is sent, who is there (libcurl's callback).

        The address was judged before libcurl got it; this proves that it used it.
        """
        self.is_established = True
        if self.request.proxy is not None:
            self.header.forget()
        is_same = address == self.address or (
            read_address(address) == read_address(self.address)
        )
        code: int = pycurl.PREREQFUNC_OK if is_same else pycurl.PREREQFUNC_ABORT
        return code
