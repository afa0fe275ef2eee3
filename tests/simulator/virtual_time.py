"""An event loop whose time jumps to the next timer instead of passing."""

import asyncio
import selectors
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 3, 28, 5, 0, tzinfo=UTC)
"""Some hours before a change to summer time in Europe."""


LEAST_S = 1e-7


class DeadlockError(Exception):
    """Every task of the simulation waits, and no timer will ever wake one."""


class _JumpingSelector(selectors.BaseSelector):
    """Looks at real descriptors without waiting, and lets time jump instead."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.seconds = 0.0

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._real.select(0)
        if events:
            return events
        if timeout is None:
            raise DeadlockError
        # Computing takes time, too: who looks again and again sees it pass.
        self.seconds += max(timeout, LEAST_S)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> Any:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> Any:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> Any:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs coroutines as fast as it can; `time()` is virtual."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        # Timers that are nearly equal fire together; jump a hair past them.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._jumping.seconds


class VirtualClock:
    """A node's own clock: the loop's time, off by what somebody set it."""

    def __init__(
        self, loop: VirtualTimeLoop, *, offset: timedelta = timedelta(0)
    ) -> None:
        self._loop = loop
        self.offset = offset

    def utcnow(self) -> datetime:
        return START + timedelta(seconds=self._loop.time()) + self.offset

    def monotonic(self) -> float:
        return self._loop.time()
