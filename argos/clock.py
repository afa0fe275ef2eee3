"""The only reader of the system clock.

Everything else takes `now`, or a `Clock`, as an argument, so that the simulator can
run the same code in virtual time.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time; a fake one does so in tests and in the simulator."""

    def utcnow(self) -> datetime:
        """The wall clock: aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never jumps."""


class SystemClock:
    """The machine's own clock."""

    def utcnow(self) -> datetime:
        return datetime.now(UTC)

    monotonic = staticmethod(time.monotonic)


system_clock = SystemClock()


def utcnow() -> datetime:
    """The machine's wall clock: aware, in UTC."""
    return system_clock.utcnow()
