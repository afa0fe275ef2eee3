"""Is it the websites, or the agent? What agents saw lately tells.

Pure: whoever has the looks of some agents can ask whether one of them is suspect.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain

WINDOW = timedelta(minutes=1)
"""Looks count for so long."""
MIN_DOMAINS = 5
"""On fewer domains nothing can be said of an agent."""
FAILING_SHARE = 0.5
"""An agent is suspect that fails on more than so many of its domains."""
HEALTHY_SHARE = 0.25
"""It, or the others, are well when they fail on no more than so many."""
MIN_REFUTED = 3
"""So many of its failures must have been refuted by others."""
MAX_DOMAINS = 2_000
"""So many domains are remembered for each agent; more would not tell more."""


class Standing(StrEnum):
    """What the looks say of an agent."""

    SUSPECT = "suspect"
    """It fails on most domains, and others succeed there."""
    WELL = "well"
    """It succeeds on most domains, or others fail as it does."""
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Look:
    """The last look of an agent at a domain."""

    at: datetime
    failed: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """What the looks say of an agent, and by which numbers."""

    standing: Standing
    domains: int = 0
    failed: int = 0
    refuted: int = 0


@dataclass(slots=True)
class Looks:
    """The last looks of each agent, domain by domain."""

    _by_agent: dict[str, dict[str, Look]] = field(default_factory=dict)

    def note(self, agent: str, domain: str, *, failed: bool, at: datetime) -> None:
        """Remember a look; of the checks of one run, one failure is enough."""
        looks = self._by_agent.setdefault(agent, {})
        known = looks.pop(domain, None)
        if known is not None and known.at == at:
            failed = failed or known.failed
        looks[domain] = Look(at, failed)
        if len(looks) > MAX_DOMAINS:
            del looks[next(iter(looks))]

    def judge(
        self, agent: str, *, now: datetime, distrusted: frozenset[str] = frozenset()
    ) -> Finding:
        """Whether an agent is suspect; `distrusted` are agents that witness nothing."""
        own = self._recent(agent, now)
        failures = {domain: look.at for domain, look in own.items() if look.failed}
        others = self._others(
            now, without=distrusted | {agent}, since=min(failures.values(), default=now)
        )
        if len(own) < MIN_DOMAINS:
            return Finding(Standing.UNDECIDED, len(own), len(failures))
        if len(failures) <= HEALTHY_SHARE * len(own) or _do_fail(others.values()):
            return Finding(Standing.WELL, len(own), len(failures))
        looked_again = [
            others[domain]
            for domain, at in failures.items()
            if domain in others and others[domain].at >= at
        ]
        refuted = sum(not look.failed for look in looked_again)
        is_refuted = refuted >= MIN_REFUTED and 2 * refuted > len(looked_again)
        fails = len(failures) > FAILING_SHARE * len(own)
        is_suspect = fails and (is_refuted or _do_succeed(others.values()))
        standing = Standing.SUSPECT if is_suspect else Standing.UNDECIDED
        return Finding(standing, len(own), len(failures), refuted)

    def _recent(self, agent: str, now: datetime) -> Mapping[str, Look]:
        looks = self._by_agent.get(agent, {})
        outdated = [domain for domain, look in looks.items() if look.at < now - WINDOW]
        for domain in outdated:
            del looks[domain]
        return looks

    def _others(
        self, now: datetime, *, without: frozenset[str], since: datetime
    ) -> dict[str, Look]:
        """The newest looks of the others since a moment, domain by domain."""
        names = [name for name in self._by_agent if name not in without]
        looks = chain.from_iterable(self._recent(name, now).items() for name in names)
        newest: dict[str, Look] = {}
        for domain, look in looks:
            known = newest.get(domain)
            if look.at >= since and (known is None or known.at < look.at):
                newest[domain] = look
        return newest


def _do_fail(looks: Iterable[Look]) -> bool:
    failed = [look.failed for look in looks]
    return len(failed) >= MIN_DOMAINS and sum(failed) > FAILING_SHARE * len(failed)


def _do_succeed(looks: Iterable[Look]) -> bool:
    failed = [look.failed for look in looks]
    return len(failed) >= MIN_DOMAINS and sum(failed) <= HEALTHY_SHARE * len(failed)
