"""The worker's end of the socket to its agent; never waits."""

import socket
from collections import deque

from argos.agent.engine.poller import READ, WRITE
from argos.agent.engine.wire import FrameReader, Item, pack

_CHUNK = 256 * 1024
_FRAME = 1024 * 1024
"""Bodies beyond this go into a frame of their own."""


class Pipe:
    """Items in, items out."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._reader = FrameReader()
        self._items: list[Item] = []
        self._size = 0
        self._frames: deque[memoryview] = deque()
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

    def flush(self) -> None:
        """Send as much as the socket takes now."""
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
