"""How long to leave a server alone that does not answer."""

import random


class Backoff:
    """Delays that double from failure to failure, with jitter, up to a limit.

    The jitter keeps a thousand agents from coming back in the same second.
    """

    def __init__(self, rng: random.Random, *, first_s: float = 1.0) -> None:
        self._rng = rng
        self._first_s = first_s
        self.failures = 0
        """How many in a row."""

    def fail(self, *, longest_s: float, at_least_s: float = 0.0) -> float:
        """Note a failure; return the seconds to wait."""
        doubled = self._first_s * (1 << min(self.failures, 16))
        self.failures += 1
        delay = min(longest_s, doubled) * self._rng.uniform(0.5, 1.0)
        return max(delay, at_least_s)

    def succeed(self) -> None:
        """Note that it works again."""
        self.failures = 0
