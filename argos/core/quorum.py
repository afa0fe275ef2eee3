"""Watched from several locations: how many of them must see a problem. Pure.

Each location has a task of its own. None of them is above the others: the one whose
result completes the quorum tells the problem, and its incident stands for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

SEEN_FROM = "seen_from"
"""The entry of an event's facts that names the locations which saw the problem."""


def majority(count: int) -> int:
    """More than half of so many locations."""
    return count // 2 + 1


@dataclass(frozen=True, slots=True)
class View:
    """How a check stands at another location."""

    location: str
    is_failing: bool
    """It was measured not to be ok, more often in a row than the retries allow."""
    is_told: bool
    """Its incident is the one that people know of."""
    is_answering: bool
    """Agents look from there in time, and are not known to be blind."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """What the other locations see, when one of them has looked."""

    needed: int
    """So many must see the problem, the one that has looked among them."""
    failing: tuple[str, ...] = ()
    """The others that see it."""
    is_told: bool = False
    """Another location's incident is open."""
    is_answered: bool = False
    """Agents look from one of the others, at least."""

    @property
    def is_enough_with_own(self) -> bool:
        """Whether the problem is one when the location that has looked sees it, too."""
        return len(self.failing) + 1 >= self.needed

    @property
    def is_enough_without_own(self) -> bool:
        """Whether it is still one when that location sees it no more."""
        return len(self.failing) >= self.needed


def weigh(views: Sequence[View], *, quorum: int) -> Ballot:
    """Count the votes.

    A location from where nobody looks, or sees anything, has none; when that leaves
    fewer locations than the quorum asks for, all of them must agree: a problem does not
    stay untold because agents are gone, or cut off.
    """
    answering = [view for view in views if view.is_answering]
    return Ballot(
        needed=max(1, min(quorum, len(answering) + 1)),
        failing=tuple(sorted(view.location for view in answering if view.is_failing)),
        is_told=any(view.is_told for view in views),
        is_answered=bool(answering),
    )
