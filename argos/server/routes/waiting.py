"""What requests wait with: threads for blocking calls, and an end to all waiting."""

import asyncio
from contextlib import suppress

from anyio import CapacityLimiter

AGENT_THREADS = 16


class Waiting:
    """The naps of waiting requests, which all end when the server stops."""

    def __init__(self) -> None:
        self.is_over = False
        """Whether the server stops, and nobody is to wait any longer."""
        self.threads = CapacityLimiter(AGENT_THREADS)
        """Apart from the pages' threads, so that slow pages do not keep agents out."""
        self._naps: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def end(self) -> None:
        """Wake all that wait; from any thread, or from a signal's handler."""
        self.is_over = True
        for loop, alarm in list(self._naps):
            loop.call_soon_threadsafe(alarm.set)

    async def nap(self, seconds: float) -> None:
        """Wait so long, or until the server stops."""
        alarm = asyncio.Event()
        nap = (asyncio.get_running_loop(), alarm)
        self._naps.add(nap)
        try:
            # Looked at after the entry, so that no end can fall in between.
            if not self.is_over:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await alarm.wait()
        finally:
            self._naps.discard(nap)
