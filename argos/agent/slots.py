"""How much an agent takes on: probes at work, and probes that only wait.

A probe of a healthy website needs CPU from its start to its end. One of a website that
does not answer needs none until its deadline: if it kept its slot, a few sick websites
would take them all, and the healthy ones would be late.
"""

from collections.abc import Callable, Hashable
from itertools import islice, takewhile
from math import inf

from argos.clock import Clock

WAITS_AFTER_S = 1.0
"""A probe that began longer ago waits for its website, and gives its slot to another."""
WAITING_PER_SLOT = 20
"""Memory and descriptors have an end, so that waiting probes have one, too."""


def most_under_way(count: int, *, workers: int, most_per_worker: int | None) -> int:
    """How many probes may be under way with so many slots.

    A machine with few descriptors has room for fewer that wait, not for fewer at work.
    """
    wished = count * (1 + WAITING_PER_SLOT)
    if most_per_worker is None:
        return wished
    return max(count, min(wished, workers * most_per_worker))


class Slots:
    """Which probes are under way; each is named by anything that tells it apart."""

    def __init__(
        self,
        count: int,
        *,
        clock: Clock,
        limit: int | None = None,
        queue_s: Callable[[], float] = float,
    ) -> None:
        """`queue_s` tells how long probes wait for their turn before they begin."""
        self.count = count
        """Probes at work at once."""
        self.limit = count * (1 + WAITING_PER_SLOT) if limit is None else limit
        """Probes under way at once, the waiting ones included."""
        self._now = clock.monotonic
        self._queue_s = queue_s
        self._at_work: dict[Hashable, float] = {}
        """When each began, in that order."""
        self._oldest = -inf
        """No probe at work began before: until it is old enough, none is."""
        self._waiting: set[Hashable] = set()

    @property
    def at_work(self) -> int:
        """How many probes are young enough to need CPU."""
        self._sort()
        return len(self._at_work)

    @property
    def waiting(self) -> int:
        """How many probes wait for their websites."""
        self._sort()
        return len(self._waiting)

    @property
    def free(self) -> int:
        """How many probes may begin now."""
        self._sort()
        under_way = len(self._at_work) + len(self._waiting)
        return min(self.count - len(self._at_work), self.limit - under_way)

    def free_in_s(self, count: int = 1) -> float | None:
        """Seconds until so many of the probes at work, or all, count as waiting.

        None: none is at work.
        """
        at_work = self._at_work
        if not at_work:
            return None
        place = min(count, len(at_work)) - 1
        last = next(islice(at_work.values(), place, None))
        return max(0.0, last + WAITS_AFTER_S + self._queue_s() - self._now())

    def begin(self, probe: Hashable) -> None:
        """A probe begins."""
        self._at_work[probe] = self._now()

    def end(self, probe: Hashable) -> None:
        """A probe is over; one that never began is no error."""
        if self._at_work.pop(probe, None) is None:
            self._waiting.discard(probe)

    def _sort(self) -> None:
        now = self._now()
        until = now - WAITS_AFTER_S
        if until < self._oldest:
            return
        # What is in the queue of a busy worker does not wait for its website.
        until -= self._queue_s()
        if until < self._oldest:
            return
        at_work = self._at_work
        for probe, _ in list(takewhile(lambda each: each[1] <= until, at_work.items())):
            del at_work[probe]
            self._waiting.add(probe)
        # Who begins from now on is younger.
        self._oldest = next(iter(at_work.values()), now)
