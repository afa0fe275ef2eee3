"""One probe under way in a worker: its request, what came so far, its clocks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

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
SMALL_BODY = 64 * 1024
"""Bytes; most pages are no longer."""
_RESERVE_PARTS = 4


@dataclass(slots=True)
class Intake:
    """What the transfers of a worker share while bodies come in."""

    limit: int
    """Bytes of all bodies together; small ones may go a quarter beyond it."""
    used: int = 0
    paused: "list[Transfer]" = field(default_factory=list)
    """Those that wait for the next turn of the loop."""

    def is_full_for(self, size: int) -> bool:
        """Whether the limit is passed, at the cost of a body that is so long by now.

        A few websites that never end their long bodies must not blind us for others.
        """
        reserve = self.limit // _RESERVE_PARTS if size <= SMALL_BODY else 0
        return self.used > self.limit + reserve


class Transfer:
    """The state of a probe between being taken in and its outcome."""

    # Defaults of the class, not slots: most probes never change most of them.
    curl: pycurl.Curl | None = None
    """What it runs on, while it runs with libcurl."""
    header: HeaderBlock
    """What libcurl writes to; there only if it makes the probe."""
    exchange: Any = None
    """What it runs on without: whatever the driver has of it."""
    started_at = 0.0
    """While it is in the queue: since when."""
    deadline_at = 0.0
    """On the loop's monotonic clock; the time in the queue does not count."""
    dns_us: int | None = None
    earlier_us = 0
    """What attempts at other addresses took before this one."""
    addresses: Sequence[str] = ()
    """What is left to be tried."""
    address = ""
    certificate: Certificate | None = None
    """What the website showed lately; None: it is read in this attempt."""
    known_addresses: tuple[str, ...] = ()
    """All of the name."""
    former_us = 0
    """What the answers took that redirected here."""
    visited: tuple[str, ...] = ()
    """The URLs so far, after a redirect; this request's the last of them."""
    setback: ProbeFailure | None = None
    """Why the same is done again: the handshake broke off before the certificate was
    seen."""
    fan: Fan | None = None
    """Where all addresses are probed: what brings them together."""
    fan_place = ""
    """The address for which it stands there."""
    lookup_id = 0
    """While its name is looked up."""
    tap: Tap | None = None
    is_over = False
    """It has an outcome, or nobody waits for it any more."""
    is_established = False
    """TCP and TLS stand; the request goes out."""
    is_body_cut = False
    is_memory_full = False
    _pieces = 0
    _pieces_in_turn = 0
    _body: bytes | bytearray = b""

    def __init__(self, number: int, target: Target, intake: Intake) -> None:
        self.number = number
        self.target = target
        self.probe = target.probe
        self.request = target.request
        self.wants_certificate = target.wants_certificate
        """Whether its certificate is part of the outcome."""
        self.intake = intake
        if target.plain_request is None:
            self.header = HeaderBlock()
        if target.request.is_tapped:
            self.tap = Tap()

    @property
    def body(self) -> bytes:
        """The body as it came, at most the probe's cap of it."""
        return bytes(self._body)

    @property
    def body_size(self) -> int:
        """How many bytes of the body have come."""
        return len(self._body)

    def release(self) -> None:
        """Give the memory of the body back."""
        self.intake.used -= len(self._body)
        self._body = b""
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
        if self._pieces == 1:
            self._body = chunk
        else:
            # Not a list of pieces: a million of one byte each would take 40 MB.
            if self._pieces == 2:
                self._body = bytearray(self._body)
            self._body += chunk
        intake = self.intake
        intake.used += len(chunk)
        if intake.used > intake.limit:
            self.is_memory_full = intake.is_full_for(len(self._body))
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
