"""How an outcome is called and how bad it is."""

from collections.abc import Iterable
from enum import StrEnum


class Status(StrEnum):
    """Did the check hold? Decided by the agent, or left to the server."""

    SUCCESS = "success"
    """The answer was as expected."""
    FAILURE = "failure"
    """The answer was not as expected, or there was none."""
    ERROR = "error"
    """Our own trouble: the check could not be done."""
    ON_CHECK = "on-check"
    """The server judges, from the facts of the verdict."""


class Severity(StrEnum):
    """How bad a result is; the members are ordered from best to worst."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    """Not measured: nothing is known of the website."""

    @property
    def rank(self) -> int:
        """0 for ok, growing with how much attention it needs."""
        return _RANK[self]

    @property
    def urgency(self) -> int:
        """0 for ok, growing with how soon a human should look at it.

        A website known to be down is more urgent than one that could not be measured.
        """
        return _URGENCY[self]


_RANK = {severity: rank for rank, severity in enumerate(Severity)}

_URGENCY = {
    Severity.OK: 0,
    Severity.WARNING: 1,
    Severity.UNKNOWN: 2,
    Severity.CRITICAL: 3,
}

DEFAULT_SEVERITY = {
    Status.SUCCESS: Severity.OK,
    Status.FAILURE: Severity.CRITICAL,
    Status.ERROR: Severity.UNKNOWN,
}
"""What a final status means where a check has no rule of its own (contract 12.2)."""


def worst(severities: Iterable[Severity]) -> Severity:
    """The worst of some severities; ok when there are none."""
    return max(severities, key=lambda severity: severity.rank, default=Severity.OK)
