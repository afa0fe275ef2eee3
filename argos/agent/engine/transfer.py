"""One probe under way in a worker: its request, what came so far, its clocks."""

from dataclasses import dataclass, field
from functools import lru_cache

import pycurl

from argos.agent.engine.address import read_address
from argos.agent.engine.header import HeaderBlock
from argos.agent.engine.request import Request
from argos.core.probe import Probe

# One cheap classic share: the post-quantum one of OpenSSL's default list costs 13 % of
# a handshake, and no website asks for it.
_CURVES = "X25519:P-256:P-384:P-521"
_WEB = pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS
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
        "_intake",
        "_pieces",
        "_pieces_in_turn",
        "address",
        "addresses",
        "deadline_at",
        "dns_us",
        "earlier_us",
        "header",
        "is_body_cut",
        "is_established",
        "is_memory_full",
        "is_over",
        "number",
        "probe",
        "queued_at",
        "request",
        "started_at",
    )

    def __init__(
        self, number: int, probe: Probe, request: Request, intake: Intake
    ) -> None:
        self.number = number
        self.probe = probe
        self.request = request
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
        self.is_over = False
        """It has an outcome, or nobody waits for it any more."""
        self._intake = intake
        self._pieces = 0
        self._pieces_in_turn = 0
        self._body = bytearray()
        self.header = HeaderBlock()
        self.is_established = False
        """TCP and TLS stand; the request goes out."""
        self.is_body_cut = False
        self.is_memory_full = False

    @property
    def body(self) -> bytes:
        """The body as it came, at most the probe's cap of it."""
        return bytes(self._body)

    def release(self) -> None:
        """Give the memory of the body back."""
        self._intake.used -= len(self._body)
        self._body = bytearray()
        self.is_over = True

    def on_body(self, chunk: bytes) -> int | None:
        """Take a piece of the body in, up to the caps (libcurl's callback)."""
        if self._pieces_in_turn >= PIECES_PER_TURN:
            self._intake.paused.append(self)
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
        self._intake.used += len(chunk)
        self.is_memory_full = self._intake.used > self._intake.limit
        return _STOP if self.is_body_cut or self.is_memory_full else None

    def begin_turn(self) -> None:
        """Another turn of the loop: as many pieces again may come in."""
        self._pieces_in_turn = 0

    def on_connected(self, address: str, _own: str, _port: int, _own_port: int) -> int:
        """Look, before anything is sent, who is there (libcurl's callback).

        The address was judged before libcurl got it; this proves that it used it.
        """
        self.is_established = True
        is_same = address == self.address or (
            read_address(address) == read_address(self.address)
        )
        code: int = pycurl.PREREQFUNC_OK if is_same else pycurl.PREREQFUNC_ABORT
        return code


def set_up(
    curl: pycurl.Curl, transfer: Transfer, *, ca_file: str, remaining: float
) -> None:
    """Tell a fresh or reset handle all about the next attempt of a transfer.

    `remaining` is the time, in seconds, until the deadline.
    """
    setopt = curl.setopt
    request = transfer.request
    setopt(pycurl.URL, request.url)
    setopt(pycurl.CONNECT_TO, [_connect_to(transfer)])
    remaining_ms = max(1, int(remaining * 1000))
    setopt(pycurl.TIMEOUT_MS, remaining_ms)
    # Half of the time for each address but the last, which gets all that is left.
    is_last = not transfer.addresses
    setopt(pycurl.CONNECTTIMEOUT_MS, remaining_ms if is_last else remaining_ms // 2 + 1)
    setopt(pycurl.NOSIGNAL, 1)
    setopt(pycurl.PROTOCOLS, _WEB)
    setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    # Neither the environment's proxies nor anything kept from other probes.
    setopt(pycurl.PROXY, "")
    setopt(pycurl.FRESH_CONNECT, 1)
    setopt(pycurl.FORBID_REUSE, 1)
    setopt(pycurl.SSL_SESSIONID_CACHE, 0)
    # Bodies are decoded by us, with a cap.
    setopt(pycurl.HTTP_CONTENT_DECODING, 0)
    setopt(pycurl.WRITEFUNCTION, transfer.on_body)
    setopt(pycurl.HEADERFUNCTION, transfer.header.take_in)
    setopt(pycurl.PREREQFUNCTION, transfer.on_connected)
    if request.is_tls:
        setopt(pycurl.CAINFO, ca_file)
        setopt(pycurl.SSL_EC_CURVES, _CURVES)
        setopt(pycurl.OPT_CERTINFO, int(transfer.probe.wants_certificate))
    _set_method(curl, request)
    lines = _header_lines(request.headers, has_body=request.body is not None)
    setopt(pycurl.HTTPHEADER, lines)


def _connect_to(transfer: Transfer) -> str:
    """For any host and port of a URL, this address and no other."""
    address = f"[{transfer.address}]" if ":" in transfer.address else transfer.address
    return f"::{address}:{transfer.request.port}"


def _set_method(curl: pycurl.Curl, request: Request) -> None:
    if request.method == "HEAD":
        curl.setopt(pycurl.NOBODY, 1)
        return
    if request.body is not None:
        curl.setopt(pycurl.POSTFIELDS, request.body)
    if request.method != ("GET" if request.body is None else "POST"):
        curl.setopt(pycurl.CUSTOMREQUEST, request.method)


@lru_cache(maxsize=256)
def _header_lines(
    headers: tuple[tuple[str, str], ...], *, has_body: bool
) -> list[bytes]:
    # A semicolon is libcurl's sign for a header without a value.
    lines = [f"{name}: {value}" if value else f"{name};" for name, value in headers]
    if has_body:
        names = {name.lower() for name, _ in headers}
        # Left to itself libcurl calls any data a form, and asks before it sends much.
        lines += [
            f"{name}:"
            for name in ("Content-Type", "Expect")
            if name.lower() not in names
        ]
    return [line.encode() for line in lines]
