"""How busy an agent is, and how much more it should take on.

An agent whose machine has no CPU to spare measures itself instead of the websites. Over
its budget it therefore takes on less, by and by, and never nothing.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from argos.clock import Clock

DEFAULT_CPU_BUDGET = 0.5
"""Above half of its cores, an agent would measure itself more and more."""
SAMPLE_S = 0.5
WINDOW_S = 3.0
"""Over which CPU time and task groups are counted."""
SLOWEST = 2.0
"""Task groups a second that are taken on however busy the agent is."""
_RELAXED = 0.8
"""Below this part of the budget, the rate grows again."""
_GROWTH = 1.1
_BURST_S = 0.5
_CALL_S = 0.1
"""Between two calls to the server."""


@dataclass(frozen=True, slots=True)
class Load:
    """How busy an agent was lately."""

    cpu_percent: float
    """Of the cores that it may use, its workers included."""
    lag_ms: float
    """How late its own loop was at the worst."""
    is_over_budget: bool
    """It takes on less than it could, since its CPU is used up."""


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    cpu_s: float
    groups: int
    lag_s: float


class LoadGauge:
    """Watches the agent's CPU, and bounds what it takes on to its budget.

    `cpu_seconds` tells what the agent with its workers has used since it began, and
    `budget` which part of `cores` it may use.
    """

    def __init__(
        self,
        cpu_seconds: Callable[[], float],
        *,
        clock: Clock,
        cores: float,
        budget: float,
    ) -> None:
        self._cpu_seconds = cpu_seconds
        self._clock = clock
        self._cores = cores
        self._budget = budget
        self._groups = 0
        self._samples: deque[_Sample] = deque()
        self._rate: float | None = None
        self._tokens = 0.0
        self._counted_at = clock.monotonic()

    @property
    def load(self) -> Load | None:
        """How busy the agent was lately; None: it has only begun."""
        if len(self._samples) < 2:
            return None
        lag_s = max(sample.lag_s for sample in self._samples)
        share = self._share()
        return Load(share * 100, lag_s * 1000, self._rate is not None)

    @property
    def allowance(self) -> int | None:
        """How many task groups may be taken on now; None: as many as there are."""
        if self._rate is None:
            return None
        self._earn(self._rate)
        return int(self._tokens)

    @property
    def pause_s(self) -> float:
        """Seconds until so much may be taken on that a call is worth it."""
        if self._rate is None:
            return 0.0
        self._earn(self._rate)
        return max(0.0, max(1.0, self._rate * _CALL_S) - self._tokens) / self._rate

    def take(self, groups: int) -> None:
        """So many task groups were taken on."""
        self._groups += groups
        self._tokens = max(0.0, self._tokens - groups)

    def sample(self, *, lag_s: float) -> None:
        """Look at the clock and the CPU; to be called about every SAMPLE_S."""
        now = self._clock.monotonic()
        self._samples.append(_Sample(now, self._cpu_seconds(), self._groups, lag_s))
        while self._samples[0].at < now - WINDOW_S:
            self._samples.popleft()
        if len(self._samples) > 1:
            self._adjust()

    def _adjust(self) -> None:
        share = self._share()
        if share > self._budget:
            self._earn(self._rate or 0.0)
            self._rate = max(SLOWEST, self._pace() * self._budget / share)
        elif self._rate is not None and share < self._budget * _RELAXED:
            # Once the rate does not bind any more, there is none.
            is_binding = self._pace() > self._rate / 2
            self._rate = self._rate * _GROWTH if is_binding else None

    def _earn(self, rate: float) -> None:
        now = self._clock.monotonic()
        earned = self._tokens + rate * (now - self._counted_at)
        self._tokens = min(earned, rate * _BURST_S + 1)
        self._counted_at = now

    def _share(self) -> float:
        first, last = self._samples[0], self._samples[-1]
        return (last.cpu_s - first.cpu_s) / ((last.at - first.at) * self._cores)

    def _pace(self) -> float:
        first, last = self._samples[0], self._samples[-1]
        return (last.groups - first.groups) / (last.at - first.at)


class ProcessTimes:
    """The CPU time of this process and of others, which may come and go (Linux)."""

    def __init__(
        self,
        own_seconds: Callable[[], float],
        pids: Callable[[], Iterable[int]],
        *,
        ticks_per_s: int,
    ) -> None:
        self._own_seconds = own_seconds
        self._pids = pids
        self._ticks_per_s = ticks_per_s
        self._seen: dict[int, float] = {}
        self._gone_s = 0.0

    def __call__(self) -> float:
        """Seconds since they began; it never falls."""
        now = {pid: self._seconds(pid) for pid in self._pids()}
        self._gone_s += sum(
            seconds for pid, seconds in self._seen.items() if pid not in now
        )
        self._seen = now
        return self._own_seconds() + self._gone_s + sum(now.values())

    def _seconds(self, pid: int) -> float:
        try:
            text = Path(f"/proc/{pid}/stat").read_text(
                encoding="ascii", errors="replace"
            )
        except OSError:
            # It has just ended, or this system does not tell.
            return self._seen.get(pid, 0.0)
        # The name, in parentheses, may hold spaces.
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / self._ticks_per_s
