"""A month of watching: the real rules of `argos.core` on a store in memory.

Between eventful runs a website that is up and calm stays so: these runs change nothing
but its history, and are skipped. All others are simulated one by one, in order.
"""

import heapq
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from argos.core.flapping import WINDOW
from argos.core.incident import EventKind, Outcome, Patience, Reason, TaskState, advance
from argos.core.severity import Severity
from argos.core.suspicion import Looks, Standing
from bench.detection.tape import MINUTE, Tape

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
ANSWER_S = 2.0
"""Until another agent has looked that was asked to."""
RECHECK_S = MINUTE
"""`recheck_delay`."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Somebody was told of a problem."""

    site: int
    at: float
    failing_since: float


@dataclass(slots=True)
class Watcher:
    """Ours: `advance`, a second opinion, suspect agents."""

    tape: Tape
    retries: int
    confirm: bool
    alerts: list[Alert] = field(default_factory=list)
    recoveries: int = 0
    suspected: int = 0
    probes: int = 0
    _states: dict[int, TaskState] = field(default_factory=dict)
    _last: dict[int, float] = field(default_factory=dict)
    _looks: Looks = field(default_factory=Looks)
    _suspects: set[int] = field(default_factory=set)
    _judged_at: dict[int, float] = field(default_factory=dict)

    def run(self) -> None:
        """Watch the whole month."""
        tape, plan = self.tape, self.tape.plan
        eventful = [tape.eventful_runs(site) for site in range(plan.sites)]
        queue = [(runs[0], site, -1) for site, runs in enumerate(eventful) if runs]
        heapq.heapify(queue)
        while queue:
            moment, site, not_for = heapq.heappop(queue)
            upcoming = self._look(site, moment, not_for)
            if upcoming is None:
                runs = eventful[site]
                place = bisect_right(runs, moment)
                upcoming = (runs[place], -1) if place < len(runs) else None
            if upcoming is not None:
                heapq.heappush(queue, (upcoming[0], site, upcoming[1]))

    def _look(self, site: int, moment: float, not_for: int) -> tuple[float, int] | None:
        """One run; when the next one comes and who must not make it, None: all is calm."""
        agent = self._choose(site, moment, not_for)
        failed = self.tape.fails(site, moment, agent)
        self.probes += 1
        state = self._forward(site, moment)
        is_doubted = self._judge(site, moment, agent, failed=failed, state=state)
        outcome = Outcome(
            Severity.CRITICAL if failed else Severity.OK,
            EPOCH + timedelta(seconds=moment),
            agent=str(agent),
            is_doubted=is_doubted,
        )
        step = advance(
            state, outcome, Patience(self.retries, 0, self._has_others(agent))
        )
        self._states[site] = step.state
        self._last[site] = moment
        if step.event in {EventKind.OPENED, EventKind.FLAPPING}:
            since = step.state.failing_since
            assert since is not None
            self.alerts.append(Alert(site, moment, (since - EPOCH).total_seconds()))
        self.recoveries += step.event is EventKind.CLOSED
        if step.reason in {Reason.CONFIRMING, Reason.AGENT_SUSPECT}:
            return moment + ANSWER_S, agent
        if step.state.told is Severity.OK and not step.state.contiguous_failures:
            return None
        return self._planned(site, moment, soon=failed), -1

    def _planned(self, site: int, moment: float, *, soon: bool) -> float:
        on_grid = self.tape.next_run(site, moment)
        return min(on_grid, moment + RECHECK_S) if soon else on_grid

    def _forward(self, site: int, moment: float) -> TaskState:
        """The state with the runs that were skipped since the last one."""
        state = self._states.get(site, TaskState(has_run=True))
        skipped = int((moment - self._last.get(site, 0.0)) // self.tape.plan.period) - 1
        if skipped > 0 and state.told is Severity.OK and not state.contiguous_failures:
            outcome = Outcome(Severity.OK, EPOCH)
            for _ in range(min(skipped, WINDOW + 1)):
                state = advance(state, outcome, Patience()).state
        return state

    def _choose(self, site: int, moment: float, not_for: int) -> int:
        agents = range(self.tape.plan.agents)
        if not_for < 0:
            return self.tape.agent_of(site, moment)
        others = [agent for agent in agents if agent not in self._suspects | {not_for}]
        if not others:
            return not_for
        return others[int(self.tape.chance("ask", site, moment) * len(others))]

    def _has_others(self, agent: int) -> bool:
        others = self.tape.plan.agents - len(self._suspects | {agent})
        return self.confirm and others > 0

    def _judge(
        self, site: int, moment: float, agent: int, *, failed: bool, state: TaskState
    ) -> bool:
        """Whether the agent is suspect; without a second opinion nobody is."""
        if not self.confirm:
            return False
        now = EPOCH + timedelta(seconds=moment)
        if state.told is Severity.OK:
            self._looks.note(str(agent), str(site), failed=failed, at=now)
        is_due = moment - self._judged_at.get(agent, 0.0) >= 1.0
        if is_due and (failed or agent in self._suspects):
            self._judged_at[agent] = moment
            distrusted = frozenset(map(str, self._suspects))
            found = self._looks.judge(str(agent), now=now, distrusted=distrusted)
            if found.standing is Standing.SUSPECT and agent not in self._suspects:
                self._suspects.add(agent)
                self.suspected += 1
            elif found.standing is Standing.WELL:
                self._suspects.discard(agent)
        return failed and agent in self._suspects


@dataclass(slots=True)
class _Memory:
    """What 0.10.3 keeps of a task."""

    was_ok: bool = True
    failures: int = 0


@dataclass(slots=True)
class Ancestor:
    """0.10.3: `need_alert` as it is, any agent's word for the truth.

    Its rule, for a task that ran before and results that are ok or critical: with R
    retries, a success tells a recovery when more than R failures were counted and clears
    them; a failure counts one more, and tells when the count is R + 1. A success below
    the threshold clears nothing.
    """

    tape: Tape
    retries: int
    alerts: list[Alert] = field(default_factory=list)
    recoveries: int = 0
    probes: int = 0
    suspected: int = 0

    def run(self) -> None:
        """Watch the whole month, website by website."""
        for site in range(self.tape.plan.sites):
            self._watch(site, self.tape.eventful_runs(site))

    def _watch(self, site: int, eventful: Sequence[float]) -> None:
        memory = _Memory()
        moment = eventful[0] if eventful else None
        since = 0.0
        while moment is not None:
            failed = self.tape.fails(site, moment, self.tape.agent_of(site, moment))
            self.probes += 1
            if failed and memory.was_ok:
                since = moment
            if self._is_told(memory, failed=failed):
                if failed:
                    self.alerts.append(Alert(site, moment, since))
                else:
                    self.recoveries += 1
            calm = not failed and memory.was_ok
            rechecks = failed and memory.was_ok
            memory.was_ok = not failed
            moment = self._next(site, moment, eventful, calm=calm, rechecks=rechecks)

    def _is_told(self, memory: _Memory, *, failed: bool) -> bool:
        if self.retries == 0:
            return failed is memory.was_ok
        if not failed:
            if memory.failures >= self.retries + 1:
                memory.failures = 0
                return True
            return False
        memory.failures += 1
        return memory.failures == self.retries + 1

    def _next(
        self,
        site: int,
        moment: float,
        eventful: Sequence[float],
        *,
        calm: bool,
        rechecks: bool,
    ) -> float | None:
        if calm:
            place = bisect_right(eventful, moment)
            return eventful[place] if place < len(eventful) else None
        on_grid = self.tape.next_run(site, moment)
        return min(on_grid, moment + RECHECK_S) if rechecks else on_grid
