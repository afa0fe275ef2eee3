"""One probe of every address of a name, and the one outcome of them all."""

from dataclasses import replace
from typing import Any

from msgspec.structs import replace as change

from argos.core.probe import Outcome, ProbeFailure

MAX_ADDRESSES = 8
"""All of them at the same time, each within the probe's deadline."""


class Fan:
    """Collects what comes of each address."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self.transfers: list[Any] = []
        """Those that are under way, and were; whatever the engine has of them."""
        self._outcomes: dict[str, Outcome | None] = dict.fromkeys(addresses)

    def collect(self, address: str, outcome: Outcome) -> Outcome | None:
        """Take one outcome in; the last one gives the outcome of all."""
        self._outcomes[address] = outcome
        outcomes = [each for each in self._outcomes.values() if each is not None]
        return join(outcomes) if len(outcomes) == len(self._outcomes) else None


def join(outcomes: list[Outcome]) -> Outcome:
    """The first failure, else the slowest answer, with all of them in its details."""
    failure = next((each for each in outcomes if isinstance(each, ProbeFailure)), None)
    worst = failure or max(outcomes, key=lambda each: each.timings.total_us or 0)
    return change(worst, details=replace(worst.details, by_address=tuple(outcomes)))
