"""The public counters, at a bounded cost: anybody may ask, as often as they like."""

import threading

from argos.clock import Clock
from argos.protocol import StatsAnswer
from argos.server.database import Database
from argos.server.queries import counters as queries

COST_SHARE = 0.05
"""How much of the time may go into counting: the more it takes, the longer it holds."""


class Stats:
    """The counts, as fresh as they can be for their cost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answer: StatsAnswer | None = None
        self._holds_until = 0.0

    def read(self, database: Database, clock: Clock) -> StatsAnswer:
        """The counts; whoever asks while they are being made waits for the same ones."""
        with self._lock:
            begin = clock.monotonic()
            if self._answer is None or begin >= self._holds_until:
                self._answer = _count(database)
                end = clock.monotonic()
                self._holds_until = end + (end - begin) / COST_SHARE
            return self._answer


def _count(database: Database) -> StatsAnswer:
    with database.viewing() as session:
        tasks = queries.count_tasks(session)
        return StatsAnswer(
            upcoming_tasks_count=tasks.upcoming,
            results_count=queries.count_results(session),
            selected_tasks_count=tasks.selected,
        )
