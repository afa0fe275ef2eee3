"""When a task group runs next, and how long a lease of it lasts.

Due instants lie on a fixed grid `epoch + offset + k · period`; the offset comes from a
hash of the group's key, so a late run does not shift the grid and 10,000 new groups do
not run in the same second.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHORTEST_PERIOD = timedelta(seconds=1)
"""A frequency of 0 ("run without pause" in 0.10.3) runs this often."""
LEASE_MARGIN = timedelta(seconds=15)
"""What a lease lasts longer than its probe's own deadline, for queue and report."""
SHARDS = 16
"""How many queues the schedule is spread over, so that leasers do not collide."""


def effective_period(frequency: timedelta) -> timedelta:
    """The time between two runs, never shorter than `SHORTEST_PERIOD`."""
    return max(frequency, SHORTEST_PERIOD)


@lru_cache(maxsize=1 << 14)
def grid_offset(key: bytes, period: timedelta) -> timedelta:
    """Where in the period a group's runs lie; `key` is at least 8 bytes of a hash."""
    fraction = int.from_bytes(key[:8], "big") / 2**64
    return timedelta(microseconds=int(period / timedelta(microseconds=1) * fraction))


def shard(key: bytes) -> int:
    """Which of the `SHARDS` queues a group stands in; from the hash's last byte."""
    return key[-1] % SHARDS


def next_on_grid(after: datetime, *, period: timedelta, offset: timedelta) -> datetime:
    """The first grid instant later than `after`."""
    runs = (after - EPOCH - offset) // period
    return EPOCH + offset + (runs + 1) * period


def next_run(
    submitted_at: datetime,
    *,
    frequency: timedelta,
    key: bytes,
    recheck_delay: timedelta | None = None,
) -> datetime:
    """When a group runs next, after a run that ended at `submitted_at`.

    `recheck_delay` is given while a task of the group is not ok: the run then comes
    after that delay, unless the grid has one sooner.
    """
    period = effective_period(frequency)
    on_grid = next_on_grid(submitted_at, period=period, offset=grid_offset(key, period))
    if recheck_delay is None:
        return on_grid
    return min(on_grid, submitted_at + recheck_delay)


def missed_runs(
    planned_at: datetime | None, upcoming: datetime, frequency: timedelta
) -> int:
    """How many planned runs never took place before the run that is now upcoming.

    A run is missed when it is later than one period: it is not made up.
    """
    if planned_at is None:
        return 0
    return max(0, (upcoming - planned_at) // effective_period(frequency) - 1)


def lease_interval(probe_timeout: timedelta) -> timedelta:
    """How long an agent holds a group: always longer than the probe may take."""
    return probe_timeout + LEASE_MARGIN
