"""How far a measuring loop can be trusted."""

from bisect import bisect_left
from collections import deque

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
        self._clock = clock
        self._turned_at = clock.monotonic()
        self._times: deque[float] = deque()
        self._lengths: deque[float] = deque()

    def begin(self, now: float) -> None:
        """The loop works from here on; a moment in the future is when it should wake."""
        self._turned_at = now

    def end(self, now: float, *, overslept: float = 0.0) -> None:
        """The loop goes to wait; it had woken too late by `overslept` seconds."""
        length = max(now - self._turned_at, overslept)
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
        return max(past, self._clock.monotonic() - self._turned_at)
