"""What really happened to a fleet in a month: the same for whoever watches it.

Known outages, lost packets, and each day one agent whose network flaps for a while.
"""

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

MINUTE = 60.0
DAY = 86_400.0
_SCALE = 2.0**32
_SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Plan:
    """How much happens, in seconds and shares."""

    sites: int = 5_000
    days: int = 30
    period: float = 5 * MINUTE
    agents: int = 3
    outages: int = 2_000
    shortest: float = 30.0
    longest: float = 6 * 3_600.0
    lost: float = 1e-4
    """The share of probes that a lost packet makes fail."""
    flap: float = 20 * MINUTE
    flap_fails: float = 0.6
    """The share of an agent's probes that fail while its network flaps."""
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, in seconds."""

    start: float
    end: float

    def has(self, moment: float) -> bool:
        return self.start <= moment < self.end


class Tape:
    """The month, and what a probe finds at any moment of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        rng = random.Random(plan.seed)
        self.offsets = [rng.uniform(0, plan.period) for _ in range(plan.sites)]
        self.outages = [self._outages_of(site, rng) for site in range(plan.sites)]
        self.flaps = [self._flap(day, rng) for day in range(plan.days)]
        self._starts = [[span.start for span in spans] for spans in self.outages]
        self._lost = [self._lost_runs(rng) for _ in range(plan.sites)]
        self._eventful = [self._eventful_runs(site) for site in range(plan.sites)]

    def _lost_runs(self, rng: random.Random) -> frozenset[int]:
        """The planned runs of a website that a lost packet makes fail."""
        runs = int(self.plan.days * DAY / self.plan.period)
        count, chance = 0, rng.random()
        probability = sum_to = (1 - self.plan.lost) ** runs
        while chance > sum_to:
            count += 1
            probability *= (runs - count + 1) / count * self.plan.lost
            probability /= 1 - self.plan.lost
            sum_to += probability
        return frozenset(rng.sample(range(runs), count))

    def _outages_of(self, site: int, rng: random.Random) -> list[Span]:
        plan = self.plan
        mine = plan.outages // plan.sites
        mine += site < plan.outages % plan.sites
        found: list[Span] = []
        for _ in range(mine):
            length = plan.shortest * (plan.longest / plan.shortest) ** rng.random()
            start = rng.uniform(plan.period, plan.days * DAY - 2 * plan.longest)
            found.append(Span(start, start + length))
        return sorted(found, key=lambda span: span.start)

    def _flap(self, day: int, rng: random.Random) -> tuple[Span, int]:
        start = day * DAY + rng.uniform(0, DAY - self.plan.flap)
        return Span(start, start + self.plan.flap), rng.randrange(self.plan.agents)

    def is_down(self, site: int, moment: float) -> bool:
        """Whether a website is down, whoever asks."""
        place = bisect_right(self._starts[site], moment) - 1
        return place >= 0 and self.outages[site][place].has(moment)

    def flapping_agent(self, moment: float) -> int | None:
        """The agent whose network flaps."""
        span, agent = self.flaps[min(int(moment // DAY), len(self.flaps) - 1)]
        return agent if span.has(moment) else None

    def fails(self, site: int, moment: float, agent: int) -> bool:
        """What a probe finds; the same probe always finds the same."""
        if self.is_down(site, moment):
            return True
        run = (moment - self.offsets[site]) / self.plan.period
        if abs(run - round(run)) < _SAME and round(run) in self._lost[site]:
            return True
        chance = self.chance("fail", site, moment, agent)
        flaps = self.flapping_agent(moment) == agent
        return chance < (self.plan.flap_fails if flaps else self.plan.lost)

    def next_run(self, site: int, moment: float) -> float:
        """The first planned run after a moment."""
        period, offset = self.plan.period, self.offsets[site]
        return offset + (int((moment - offset) / period + _SAME) + 1) * period

    def agent_of(self, site: int, moment: float) -> int:
        """The agent that has time for a run."""
        return int(self.chance("who", site, moment, 0) * self.plan.agents)

    def chance(self, *what: object) -> float:
        """A number from 0 to 1 that depends on nothing but what it is for."""
        return crc32(repr(what).encode()) / _SCALE

    def eventful_runs(self, site: int) -> Sequence[float]:
        """The planned runs that may find anything; all others find the website up."""
        return self._eventful[site]

    def _eventful_runs(self, site: int) -> Sequence[float]:
        plan, offset = self.plan, self.offsets[site]
        runs = set(self._lost[site])
        for span in [*self.outages[site], *(span for span, _ in self.flaps)]:
            first = int((span.start - offset) // plan.period) + 1
            last = int((span.end - offset) // plan.period)
            runs.update(range(first, last + 1))
        return [offset + run * plan.period for run in sorted(runs) if run >= 0]
