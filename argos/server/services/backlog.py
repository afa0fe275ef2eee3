"""What one server process knows of the queues, so that it need not look each time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple

WHOLE_LOOK_INTERVAL = timedelta(seconds=10)
"""So long, at most, something that became due in the past is overlooked."""
MARGIN = timedelta(seconds=15)
"""How far in the past something usually becomes due: by clocks that differ, and by
transactions that last."""


class _Mark(NamedTuple):
    at: datetime
    seen_at: datetime
    """When all was looked at last."""


class Backlog:
    """How much is due, and since when."""

    def __init__(self) -> None:
        self._parts = count()
        self._full: set[tuple[int, ...]] = set()
        self._marks: dict[tuple[int, ...], _Mark] = {}

    def part(self, pools: Sequence[int]) -> int | None:
        """Which part of the queues to begin with, another each time; None: all.

        Where the last lease from these pools was full, more is due: it is vain to look
        before, and leasers that begin with the same groups wait for each other.
        """
        return next(self._parts) if tuple(pools) in self._full else None

    def note(self, pools: Sequence[int], *, is_full: bool) -> None:
        """Remember whether a lease was as large as was asked."""
        change = self._full.add if is_full else self._full.discard
        change(tuple(pools))

    def low_water(self, pools: Sequence[int], *, now: datetime) -> datetime | None:
        """The moment before which nothing is due any more; None: look at all.

        What was leased stays in PostgreSQL's index while any transaction is open that
        may still see it, such as a dump. Who began at the front would walk over ever
        more of it.
        """
        mark = self._marks.get(tuple(pools))
        is_fresh = mark and timedelta() <= now - mark.seen_at < WHOLE_LOOK_INTERVAL
        return mark.at if mark and is_fresh else None

    def note_first(
        self, pools: Sequence[int], first: datetime | None, *, now: datetime
    ) -> datetime:
        """Remember what is due first, as a look at all, or from the mark on, found it.

        Returns the mark: from there on the next leases look.
        """
        at = now - MARGIN
        if first is not None:
            at = min(at, first)
        seen_at = now
        if (before := self.low_water(pools, now=now)) is not None:
            seen_at = self._marks[tuple(pools)].seen_at
            at = max(at, before)
        self._marks[tuple(pools)] = _Mark(at, seen_at)
        return at
