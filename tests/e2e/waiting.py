"""Waiting for what another process does: by looking again and again, with an end."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_S = 0.05
"""Between two looks; also how exact a measured time is."""


def wait_until(look: Callable[[], T], *, within_s: float, what: str) -> T:
    """Look until something truthy is seen, and return it; fail after so many seconds.

    What the last look saw, or raised, stands in the failure.
    """
    ends_at = time.monotonic() + within_s
    while True:
        seen: T | None = None
        trouble: Exception | None = None
        try:
            seen = look()
        except Exception as err:  # noqa: BLE001  # the other side may be half started
            trouble = err
        if seen:
            return seen
        if time.monotonic() > ends_at:
            raise AssertionError(
                f"Not within {within_s:g} s: {what}; last seen: {trouble or seen!r}"
            )
        time.sleep(LOOK_S)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started_at = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started_at
