"""How far a measuring loop can be trusted."""

import os
from bisect import bisect_left
from collections import deque
from contextlib import suppress

from argos.clock import Clock

_MEMORY = 300.0
"""Seconds; no probe takes longer."""


class StallLog:
    """The longest stall of a loop since any moment of the recent past.

    A loop that computes cannot notice that an answer has come, so that its longest
    stall bounds what its clocks may be wrong by. Kept are only the stalls that no
    later one surpasses, which makes looking back a search in a sorted list.
    """

    def __init__(self, clock: Clock) -> None:
        self._now = clock.monotonic
        self._turned_at = clock.monotonic()
        self._times: deque[float] = deque()
        self._lengths: deque[float] = deque()

    def begin(self, at: float) -> None:
        """From here on the loop does not listen: it works, or has overslept."""
        self._turned_at = at

    def end(self, now: float) -> None:
        """The loop listens again."""
        length = max(0.0, now - self._turned_at)
        while self._lengths and self._lengths[-1] <= length:
            self._lengths.pop()
            self._times.pop()
        self._times.append(now)
        self._lengths.append(length)
        while self._times[0] < now - _MEMORY:
            self._times.popleft()
            self._lengths.popleft()

    def longest_since(self, start: float) -> float:
        """The longest stall that ended at or after `start`, the present one included."""
        index = bisect_left(self._times, start)
        past = self._lengths[index] if index < len(self._lengths) else 0.0
        return max(past, self._now() - self._turned_at)


class RunQueue:
    """How long this thread was ready to run and had no CPU, as Linux counts it.

    A loop that is woken late by an answer has no other way to know.
    """

    _PATH = "/proc/thread-self/schedstat"

    def __init__(self) -> None:
        self._fd: int | None = None
        with suppress(OSError):
            self._fd = os.open(self._PATH, os.O_RDONLY | os.O_CLOEXEC)
        self._total_ns = self._read()

    def waited(self) -> float:
        """Seconds since the last call; 0.0 where nobody counts them."""
        before, self._total_ns = self._total_ns, self._read()
        return (self._total_ns - before) / 1e9

    def close(self) -> None:
        """Stop looking."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _read(self) -> int:
        if self._fd is None:
            return 0
        # Time on a CPU, time waiting for one, and the number of turns.
        return int(os.pread(self._fd, 100, 0).split()[1])
