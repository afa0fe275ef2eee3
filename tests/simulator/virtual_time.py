"""An event loop whose time jumps to the next timer instead of passing."""

import asyncio
import selectors
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 28, 5, 0, tzinfo=UTC)
"""Some hours before a change to summer time in Europe."""


LEAST_S = 1e-7


class DeadlockError(Exception):
    """Every task of the simulation waits, and no timer will ever wake one."""


class _JumpingSelector(selectors.SelectSelector):
    """Looks at no descriptor, as nothing real is waited for, and lets time jump."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise DeadlockError
        # Computing takes time, too: who looks again and again sees it pass.
        self.seconds += max(timeout, LEAST_S)
        return []


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
