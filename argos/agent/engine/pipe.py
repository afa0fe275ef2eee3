"""The worker's end of the socket to its agent; never waits."""

import socket
from collections import deque

from argos.agent.engine.poller import READ, WRITE
from argos.agent.engine.wire import FrameReader, Item, pack

_CHUNK = 256 * 1024
_FRAME = 1024 * 1024
"""Bodies beyond this go into a frame of their own."""
COMPANY_WAIT = 0.01
"""Seconds that an item waits for others: to be woken for each of them would cost an
agent more than all that it does with them."""
ENOUGH = 32
"""With so many, they wait no longer."""


class Pipe:
    """Items in, items out."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._reader = FrameReader()
        self._items: list[Item] = []
        self._size = 0
        self._frames: deque[memoryview] = deque()
        self._due_at: float | None = None
        """When the items have waited for long enough; None: nobody has asked yet."""
        self.backlog = 0
        """Bytes that the agent has not taken yet."""
        self.is_open = True

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def wants(self) -> int:
        """What to watch the socket for."""
        return READ | WRITE if self._frames else READ

    def receive(self) -> list[Item]:
        """What has come; nothing, and closed, once the agent is gone."""
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.is_open = False
            return []
        return self._reader.feed(data)

    def put(self, item: Item, *, size: int) -> None:
        """Send an item with the next `flush`; `size` is about its number of bytes."""
        self._items.append(item)
        self._size += size
        if self._size > _FRAME:
            self._pack()

    def patience(self, now: float) -> float | None:
        """Seconds until `flush_due` has something to do; None: nothing waits."""
        return None if self._due_at is None else max(0.0, self._due_at - now)

    def flush_due(self, now: float) -> None:
        """The same as `flush`, but a few items wait for company first."""
        if self._items and not self._frames and len(self._items) < ENOUGH:
            if self._due_at is None:
                self._due_at = now + COMPANY_WAIT
            if now < self._due_at:
                return
        self.flush()

    def flush(self) -> None:
        """Send as much as the socket takes now."""
        self._due_at = None
        if self._items:
            self._pack()
        while self._frames:
            frame = self._frames[0]
            try:
                sent = self._sock.send(frame)
            except BlockingIOError:
                return
            except OSError:
                self.is_open = False
                return
            self.backlog -= sent
            if sent < len(frame):
                self._frames[0] = frame[sent:]
            else:
                self._frames.popleft()

    def close(self) -> None:
        """Give the socket up."""
        self.is_open = False
        self._sock.close()

    def _pack(self) -> None:
        frame = pack(self._items)
        self._items = []
        self._size = 0
        self.backlog += len(frame)
        self._frames.append(memoryview(frame))
