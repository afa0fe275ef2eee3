"""What requests wait with: threads for blocking calls, and an end to all waiting."""

import asyncio
from contextlib import suppress

from anyio import CapacityLimiter

AGENT_THREADS = 16
LEASE_THREADS = 3
"""A lease is half Python and half database: more at a time take turns, and all are late."""


class Waiting:
    """The naps of waiting requests, which all end when the server stops."""

    def __init__(self) -> None:
        self.is_over = False
        """Whether the server stops, and nobody is to wait any longer."""
        self.threads = CapacityLimiter(AGENT_THREADS)
        """Apart from the pages' threads, so that slow pages do not keep agents out."""
        self.lease_threads = CapacityLimiter(LEASE_THREADS)
        """Who has waited longest is next."""
        self._naps: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        """In the order in which they began."""

    def end(self) -> None:
        """Wake all that wait; from any thread, or from a signal's handler."""
        self.is_over = True
        for alarm, loop in list(self._naps.items()):
            loop.call_soon_threadsafe(alarm.set)

    def look_again(self) -> None:
        """Wake who has waited longest: something may be due sooner than was known.

        One is enough to fetch it, and waking all would cost a query each.
        """
        for alarm, loop in list(self._naps.items())[:1]:
            loop.call_soon_threadsafe(alarm.set)

    async def nap(self, seconds: float) -> None:
        """Wait so long, or until woken."""
        alarm = asyncio.Event()
        self._naps[alarm] = asyncio.get_running_loop()
        try:
            # Looked at after the entry, so that no end can fall in between.
            if not self.is_over:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await alarm.wait()
        finally:
            self._naps.pop(alarm, None)
