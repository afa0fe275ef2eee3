"""Which leases of a task are known to be over: reported, and counted. Pure.

A result that has no row cannot be known by its row when it is reported once more; but it
is known by its lease, of which a task has one result. A task's leases only grow, and but
for those that nobody reported they follow one another: a range holds nearly all of them.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

MOST_RANGES = 48
"""Of a task that has more, results have rows again until the oldest is out of date."""
OUTDATED_DAYS = 32
"""Results that are older than 30 days are refused."""

_RANGE = struct.Struct("<III")


class LeaseLog(NamedTuple):
    """The leases of a task that are known to be over."""

    begin: int | None = None
    """From this lease on to the last one that was applied all are. None: nothing is
    noted of the last ones, as their results have rows."""
    earlier: bytes = b""
    """Ranges that ended before: first lease, last lease, and the day of its end."""

    def knows(self, lease_no: int, *, last: int) -> bool:
        """Whether a lease is over; `last` is the one that was applied last."""
        if self.begin is not None and self.begin <= lease_no <= last:
            return True
        return any(
            first <= lease_no <= end
            for first, end, _ in _RANGE.iter_unpack(self.earlier)
        )

    def applied(
        self, lease_no: int, *, last: int, day: int, has_row: bool
    ) -> "LeaseLog | None":
        """The log after one more lease; None when it has no room for one without a row.

        `day` is the present one, counted from 1970 on.
        """
        if self.begin is not None and lease_no == last + 1:
            return self
        earlier = self.earlier
        if self.begin is not None:
            earlier += _RANGE.pack(self.begin, last, day)
        if has_row:
            return LeaseLog(None, earlier)
        if _is_full(earlier):
            earlier = b"".join(_current(earlier, day))
        # Room is kept for the range that begins here: it has to be closed one day.
        return None if _is_full(earlier) else LeaseLog(lease_no, earlier)


def _is_full(ranges: bytes) -> bool:
    return len(ranges) >= MOST_RANGES * _RANGE.size


def _current(ranges: bytes, day: int) -> Iterator[bytes]:
    """The ranges of which a result may still come."""
    for first, last, ended in _RANGE.iter_unpack(ranges):
        if day - ended <= OUTDATED_DAYS:
            yield _RANGE.pack(first, last, ended)
