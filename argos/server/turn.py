"""Whose turn it is to write to a database that has one writer."""

import threading
from collections import deque

from argos.errors import DatabaseUnreachable

_HANDOVER_S = 0.00005
"""Python lets another thread run when one pauses, or after five milliseconds."""


class WriteTurn:
    """The turn to write, which others hold for a moment; or for long, when they load.

    Whoever has waited longest is next. A plain lock would go back to who gave it up just
    now: housework that writes again and again would let nobody else write.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._is_taken = False
        self._queue: deque[threading.Event] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for it."""
        return len(self._queue)

    def __enter__(self) -> None:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            called = threading.Event()
            self._queue.append(called)
        if not called.wait(self._patience_s) and self._leaves(called):
            raise DatabaseUnreachable(
                "The database is being written to for so long that others cannot wait."
            )

    def _leaves(self, called: threading.Event) -> bool:
        """Leave the queue; False: it has just become one's turn."""
        with self._lock:
            if called.is_set():
                return False
            self._queue.remove(called)
            return True

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if not self._queue:
                self._is_taken = False
                return
            self._queue.popleft().set()  # it stays taken
        # Whoever was called has the turn, and is to run before we do what is left to us.
        threading.Event().wait(_HANDOVER_S)
