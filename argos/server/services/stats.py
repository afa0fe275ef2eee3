"""Answers that cost, at a bounded cost: whoever may ask, as often as they like."""

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from argos.clock import Clock
from argos.errors import DatabaseError
from argos.protocol import StatsAnswer
from argos.server.database import Database
from argos.server.queries import counters as queries

log = logging.getLogger(__name__)

COST_SHARE = 0.03
"""How much of the time may go into an answer: the more it takes, the longer it holds."""
MUCH_S = 0.1
"""Whoever asks waits for what takes no longer."""

_Answer = TypeVar("_Answer")


class Kept(Generic[_Answer]):
    """An answer, as fresh as it can be for its cost."""

    def __init__(self, *, stale_s: float = 0.0) -> None:
        """`stale_s`: how old an answer that costs much may become while a new one is
        made, and whoever asks does not wait."""
        self._stale_s = stale_s
        self._lock = threading.Lock()
        self._answer: _Answer | None = None
        self._took_s = float("inf")
        """The last one, to be made."""
        self._holds_until = 0.0
        self._stands_until = 0.0
        self._renewal: threading.Thread | None = None

    def get(self, make: Callable[[], _Answer], clock: Clock) -> _Answer:
        """The answer; whoever asks while it is being made waits for the same one."""
        with self._lock:
            begin = clock.monotonic()
            if self._answer is None or begin >= self._stands_until:
                answer = make()
                self._keep(answer, begin, clock.monotonic())
                return answer
            if begin >= self._holds_until and self._renewal is None:
                self._renewal = threading.Thread(
                    target=self._renew, args=(make, clock), name="renewal", daemon=True
                )
                self._renewal.start()
            return self._answer

    def _keep(self, answer: _Answer, begin: float, end: float) -> None:
        # One that had to wait once, for the database or for a core, costs no more.
        cost_s = min(end - begin, self._took_s)
        self._answer, self._took_s = answer, end - begin
        self._holds_until = end + cost_s / COST_SHARE
        self._stands_until = self._holds_until
        if cost_s > MUCH_S:
            self._stands_until = max(self._holds_until, end + self._stale_s)

    def _renew(self, make: Callable[[], _Answer], clock: Clock) -> None:
        begin = clock.monotonic()
        try:
            answer = make()
            with self._lock:
                self._keep(answer, begin, clock.monotonic())
        except DatabaseError as err:
            log.warning("An answer cannot be made anew, the former stands: %s", err)
        finally:
            with self._lock:
                self._renewal = None

    def wait(self) -> None:
        """Wait until nothing is being made anew."""
        renewal = self._renewal
        if renewal is not None:
            renewal.join()


def count_stats(database: Database) -> StatsAnswer:
    """The public counters."""
    with database.viewing() as session:
        tasks = queries.count_tasks(session)
        return StatsAnswer(
            upcoming_tasks_count=tasks.upcoming,
            results_count=queries.count_results(session),
            selected_tasks_count=tasks.selected,
        )
