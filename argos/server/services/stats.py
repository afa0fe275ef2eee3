"""Answers that cost, at a bounded cost: whoever may ask, as often as they like."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from argos.clock import Clock
from argos.protocol import StatsAnswer
from argos.server.database import Database
from argos.server.queries import counters as queries

COST_SHARE = 0.05
"""How much of the time may go into an answer: the more it takes, the longer it holds."""

_Answer = TypeVar("_Answer")


class Kept(Generic[_Answer]):
    """An answer, as fresh as it can be for its cost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answer: _Answer | None = None
        self._holds_until = 0.0

    def get(self, make: Callable[[], _Answer], clock: Clock) -> _Answer:
        """The answer; whoever asks while it is being made waits for the same one."""
        with self._lock:
            begin = clock.monotonic()
            if self._answer is None or begin >= self._holds_until:
                self._answer = make()
                end = clock.monotonic()
                self._holds_until = end + (end - begin) / COST_SHARE
            return self._answer


def count_stats(database: Database) -> StatsAnswer:
    """The public counters."""
    with database.viewing() as session:
        tasks = queries.count_tasks(session)
        return StatsAnswer(
            upcoming_tasks_count=tasks.upcoming,
            results_count=queries.count_results(session),
            selected_tasks_count=tasks.selected,
        )
