"""When a task changes so often that one notice is enough for all of its changes."""

from dataclasses import dataclass

WINDOW = 20
"""Over so many changes, or none, between neighbouring runs the share is taken."""
BEGINS_AT = 0.30
ENDS_BELOW = 0.25
"""Lower than where it begins, so that flapping does not flap itself."""
STEADY_RUNS = 10
"""So many runs in a row that agree end it too: a real outage is then told as one."""

_RUNS = WINDOW + 1
FULL = 1 << _RUNS
"""Stands above the oldest run, so that a short history is told from a long one."""
FRESH = 1
ALL_OK = FULL
"""Nothing but runs that were ok, for as long as is remembered."""


@dataclass(frozen=True, slots=True)
class RunHistory:
    """The last runs of a task as one number: a bit for each, the newest last.

    A run that was not ok is a 1. The highest bit is none of them: it marks the end.
    """

    bits: int = FRESH

    def push(self, *, failed: bool) -> "RunHistory":
        """The history with one more run, the oldest forgotten when there are many."""
        bits = self.bits << 1 | failed
        if bits >= FULL << 1:
            bits = bits & (FULL - 1) | FULL
        return RunHistory(bits)

    def forget_failures(self, count: int) -> "RunHistory":
        """The history as if its last `count` runs had been ok."""
        mask = (1 << min(count, self.length)) - 1
        return RunHistory(self.bits & ~mask)

    @property
    def length(self) -> int:
        """How many runs there are."""
        return self.bits.bit_length() - 1

    @property
    def changes(self) -> int:
        """How often two neighbouring runs differ."""
        return _differences(self.bits, self.length)

    @property
    def begins_to_flap(self) -> bool:
        """Whether there were so many changes that the next one is not worth a notice."""
        return self.changes >= BEGINS_AT * WINDOW

    @property
    def is_steady(self) -> bool:
        """Whether it changes so rarely, or not for so long, that flapping is over."""
        if self.changes < ENDS_BELOW * WINDOW:
            return True
        newest = min(self.length, STEADY_RUNS)
        return newest == STEADY_RUNS and not _differences(self.bits, newest)


def _differences(bits: int, runs: int) -> int:
    pairs = (1 << max(runs - 1, 0)) - 1
    return ((bits ^ bits >> 1) & pairs).bit_count()
