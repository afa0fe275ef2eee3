"""What arrived, and waiting until it has."""

import threading
from collections.abc import Callable


def heads(gotify) -> list[str]:
    """The beginnings of the titles."""
    return [title.partition(" · ")[0] for title in gotify.titles]


def wait_for(is_so: Callable[[], bool], timeout_s: float = 15) -> None:
    """Wait until something is so; other threads are at it."""
    pause = threading.Event()
    for _ in range(int(timeout_s / 0.02)):
        if is_so():
            return
        pause.wait(0.02)
    raise AssertionError("it did not come so")
