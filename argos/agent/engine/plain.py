"""Plain HTTP/1.1 without libcurl: a socket, a request, an answer.

A third of the CPU of a check over HTTP would be libcurl's. It is needed over TLS,
with proxies and for newer protocols, none of which come here.
"""

import errno
import os
import socket
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count

from argos.agent.engine.exchange import Exchange
from argos.agent.engine.failure import AnswerError, CurlCode
from argos.agent.engine.poller import READ, WRITE
from argos.agent.engine.resolver import Watcher
from argos.agent.engine.transfer import Transfer
from argos.clock import Clock

_CHUNK = 16 * 1024
_BIG_CHUNK = 64 * 1024
_READS_PER_TURN = 8
"""Beyond it others have their turn: a website may send faster than we read."""
_PIECES_PER_READ = 16
"""The same for a website whose chunks are tiny."""
_SMALL = 1400
"""Bytes that are one packet for certain, for which TCP waits for nothing."""
_MAX_STALE = 1024
_UNDER_WAY = frozenset({0, errno.EINPROGRESS})
_CLOSED_AT_ONCE = 64
"""Connections that are over and still have their descriptors."""

_NONBLOCK = getattr(socket, "SOCK_NONBLOCK", 0)
"""Where the system can make a socket so, which spares us a call."""
# Not the class above it, which takes longer to make and to close.
_Socket = socket.SocketType

WhenDone = Callable[[Transfer, Exchange], None]


class PlainDriver:
    """Runs exchanges on the loop of a worker."""

    def __init__(self, watch: Watcher, clock: Clock, *, when_done: WhenDone) -> None:
        self._watch = watch
        self._now = clock.monotonic
        self._when_done = when_done
        self._running: dict[int, Exchange] = {}
        """By descriptor."""
        self._limits: list[tuple[float, int, Exchange]] = []
        """A heap of deadlines; most have been kept when their time comes."""
        self._limit_ids = count()
        self._resumable: list[Exchange] = []
        """Those that hold more than they could take in within a turn."""
        self._ended: list[socket.SocketType] = []
        """Not closed yet: that takes the kernel so long that the answers of a turn are
        read before."""
        self._stillborn: list[tuple[Exchange, int]] = []
        """Those that failed at once, with the system's error, not yet told."""

    @property
    def is_busy(self) -> bool:
        """Whether exchanges are running."""
        return bool(self._running or self._stillborn)

    def start(self, transfer: Transfer, request: bytes, *, remaining: float) -> None:
        """Make the next attempt of a transfer, within `remaining` seconds."""
        address = transfer.address
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        now = self._now()
        exchange = transfer.exchange = Exchange(transfer, request, now)
        try:
            exchange.socket = sock = _Socket(family, socket.SOCK_STREAM | _NONBLOCK)
        except OSError as err:
            self._stillborn.append((exchange, err.errno or 0))
            return
        if not _NONBLOCK:
            sock.setblocking(False)
        if len(request) > _SMALL:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._running[sock.fileno()] = exchange
        # Half of the time for each address but the last, which gets all that is left.
        self._limit(
            exchange, now + (remaining / 2 if transfer.addresses else remaining)
        )
        # The address is a number, which was judged: nothing is looked up here.
        error = sock.connect_ex((address, transfer.request.port))
        if error in _UNDER_WAY:
            # Nearby the connection may stand already.
            error = self._send(exchange)
        if error:
            self._stillborn.append((exchange, error))

    def cancel(self, transfer: Transfer) -> None:
        """Break a transfer off, if it is running; `when_done` is not called."""
        if transfer.exchange is not None:
            self._close(transfer.exchange)

    def patience(self, now: float) -> float | None:
        """Seconds until `process` wants to be called; None: not at all."""
        if self._resumable or self._stillborn:
            return 0.0
        limits = self._limits
        while limits and limits[0][2].is_over:
            heappop(limits)
        return max(0.0, limits[0][0] - now) if limits else None

    def process(self, now: float) -> None:
        """See to what no socket announces: deadlines, and what was put off."""
        resumable, self._resumable = self._resumable, []
        for exchange in resumable:
            if not exchange.is_over:
                self._take_in(exchange, b"")
        stillborn, self._stillborn = self._stillborn, []
        for exchange, error in stillborn:
            if not exchange.is_over:
                self._fail_to_send(exchange, error)
        while self._limits and self._limits[0][0] <= now:
            at, _, exchange = heappop(self._limits)
            if not exchange.is_over and at == exchange.limit_at:
                self._finish(exchange, CurlCode.OPERATION_TIMEDOUT, "too late")
        self._close_ended()

    def close(self) -> None:
        """Break everything off."""
        for exchange in list(self._running.values()):
            self._close(exchange)
        self._close_ended()

    def _close_ended(self) -> None:
        ended, self._ended = self._ended, []
        for sock in ended:
            sock.close()

    def _limit(self, exchange: Exchange, at: float) -> None:
        exchange.limit_at = at
        if len(self._limits) > 2 * len(self._running) + _MAX_STALE:
            self._limits = [each for each in self._limits if not each[2].is_over]
            heapify(self._limits)
        heappush(self._limits, (at, next(self._limit_ids), exchange))

    def _on_ready(self, fd: int, ready: int) -> None:
        exchange = self._running[fd]
        # What it holds has to be made something of before there can be more.
        if ready & READ and exchange.connected_at and not exchange.reader.has_more:
            self._receive(exchange)
        if exchange.unsent and not exchange.is_over:
            error = self._send(exchange)
            if error:
                self._fail_to_send(exchange, error)

    def _send(self, exchange: Exchange) -> int:
        """Send what there is; the system's error, or 0."""
        sock, unsent = exchange.socket, exchange.unsent
        assert sock is not None
        try:
            sent = sock.send(unsent)
        except BlockingIOError:
            mask = READ | WRITE if exchange.connected_at else WRITE
            self._watch(sock.fileno(), mask, self._on_ready)
            return 0
        except OSError as err:
            return err.errno or errno.EIO
        now = self._now()
        if not exchange.connected_at:
            exchange.connected_at = now
            transfer = exchange.transfer
            transfer.is_established = True
            if transfer.addresses:
                self._limit(exchange, transfer.deadline_at)
        if sent == len(unsent):
            exchange.unsent = b""
            exchange.sent_at = now
            self._watch(sock.fileno(), READ, self._on_ready)
        else:
            exchange.unsent = memoryview(unsent)[sent:]
            self._watch(sock.fileno(), READ | WRITE, self._on_ready)
        return 0

    def _fail_to_send(self, exchange: Exchange, error: int) -> None:
        exchange.os_error = error
        reason = os.strerror(error)
        if exchange.connected_at or error == errno.EPIPE:
            # What the website said before it closed the connection counts.
            if exchange.connected_at:
                self._receive(exchange)
            if not exchange.is_over:
                text = f"Send failure: {reason}"
                self._finish(exchange, CurlCode.SEND_ERROR, text)
        else:
            self._finish(exchange, CurlCode.COULDNT_CONNECT, reason)

    def _receive(self, exchange: Exchange) -> None:
        """Take in what has come, up to a turn's share."""
        size = _CHUNK
        for _ in range(_READS_PER_TURN):
            data = self._read(exchange, size)
            if not data:
                return
            piece_count = self._take_in(exchange, data)
            is_enough = piece_count > _PIECES_PER_READ or exchange.reader.has_more
            # If there is more, the poller says so.
            if exchange.is_over or is_enough or len(data) < size:
                return
            size = _BIG_CHUNK

    def _read(self, exchange: Exchange, size: int) -> bytes:
        """What has come; nothing where there is none, or will never be."""
        assert exchange.socket is not None
        try:
            data = exchange.socket.recv(size)
        except BlockingIOError:
            return b""
        except OSError as err:
            exchange.os_error = err.errno or 0
            text = f"Recv failure: {os.strerror(exchange.os_error)}"
            self._finish(exchange, CurlCode.RECV_ERROR, text)
            return b""
        if not data:
            self._end(exchange)
        elif not exchange.first_byte_at:
            exchange.first_byte_at = self._now()
        return data

    def _end(self, exchange: Exchange) -> None:
        """The website has closed the connection."""
        try:
            exchange.reader.end()
        except AnswerError as err:
            self._finish(exchange, err.code, err.text)
        else:
            self._finish(exchange, CurlCode.OK, "")

    def _take_in(self, exchange: Exchange, data: bytes) -> int:
        """Make something of what came; how many pieces of a body it was."""
        reader, transfer = exchange.reader, exchange.transfer
        transfer.begin_turn()
        try:
            pieces = reader.feed(data)
        except AnswerError as err:
            self._finish(exchange, err.code, err.text)
            return 0
        for piece in pieces:
            if transfer.on_body(piece) is not None:
                self._finish(exchange, CurlCode.WRITE_ERROR, "no more is wanted")
                return 0
        if reader.is_complete:
            self._finish(exchange, CurlCode.OK, "")
        elif reader.has_more:
            self._resumable.append(exchange)
        return len(pieces)

    def _finish(self, exchange: Exchange, code: int, text: str) -> None:
        exchange.ended_at = self._now()
        exchange.code = code
        exchange.text = text
        self._close(exchange)
        self._when_done(exchange.transfer, exchange)

    def _close(self, exchange: Exchange) -> None:
        exchange.is_over = True
        exchange.transfer.exchange = None
        sock = exchange.socket
        if sock is not None:
            fd = sock.fileno()
            self._watch(fd, 0, self._on_ready)
            del self._running[fd]
            self._ended.append(sock)
            if len(self._ended) >= _CLOSED_AT_ONCE:
                self._close_ended()
