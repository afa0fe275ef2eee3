"""Makes the probes that assignments ask for, judges what they bring, and reports it.

Without a task for each of them: most outcomes are judged in the moment they come. No
group waits for another one, and none can harm another one.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import msgspec
from msgspec.structs import replace as change

from argos.agent.engine.interface import BreakOff, ProbeEngine
from argos.agent.judging import describe_error, judge_tasks
from argos.agent.probing import (
    choose_outcome,
    is_quick,
    second_look,
)
from argos.agent.references import References
from argos.agent.reporter import Reporter, RunBlocking
from argos.agent.result import encode_results
from argos.agent.roster import Assignment
from argos.checks.base import Verdict
from argos.clock import Clock
from argos.core.probe import FailureKind, Outcome, Probe, ProbeFailure, Timings
from argos.core.severity import Status
from argos.protocol import CUT_OFF, DOUBT, Task

log = logging.getLogger(__name__)

ENGINE_MARGIN_S = 5.0
"""What an engine may take longer than a probe's deadline before it is given up."""
WATCH_INTERVAL_S = 5.0
"""So much later than it should be, a probe is given up at the latest."""

_BAD = frozenset({Status.FAILURE, Status.ERROR})


def _is_any_bad(verdicts: list[tuple[Task, Verdict]]) -> bool:
    return any(verdict.status in _BAD for _, verdict in verdicts)


def _doubted(verdict: Verdict) -> Verdict:
    if verdict.status not in _BAD:
        return verdict
    return change(verdict, facts={**verdict.facts, DOUBT: CUT_OFF})


class _Work(msgspec.Struct, eq=False):
    """An assignment under way."""

    assignment: Assignment
    give_up_at: float
    """By the monotonic clock."""
    break_off: BreakOff | None = None


class Prober:
    """Brings every assignment to its results, unless it is broken off."""

    def __init__(
        self,
        engine: ProbeEngine,
        reporter: Reporter,
        *,
        clock: Clock,
        run_blocking: RunBlocking,
        when_done: Callable[[Assignment], object],
        references: References | None = None,
    ) -> None:
        self._engine = engine
        self._reporter = reporter
        self._clock = clock
        self._run_blocking = run_blocking
        self._when_done = when_done
        self._references = references
        # A dict, for its order: simulations come out the same each time.
        self._works: dict[_Work, None] = {}
        self._watch: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()

    def begin(self, assignment: Assignment) -> None:
        """Probe and judge one group; whatever happens becomes its results."""
        probe = assignment.group.probe
        limit_s = probe.timeout.total_seconds() + ENGINE_MARGIN_S
        work = _Work(assignment, self._clock.monotonic() + limit_s)
        self._works[work] = None
        try:
            work.break_off = self._engine.begin(probe, partial(self._take_in, work))
        except Exception as err:  # noqa: BLE001  # it becomes the results
            self._stumble(work, err)
            return
        if self._watch is None:
            self._look_after(WATCH_INTERVAL_S)

    async def wind_down(self, *, grace_s: float) -> list[Assignment]:
        """Give what is under way a moment; break the rest off, and return it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self._works:
                    self._ended.clear()
                    await self._ended.wait()
        return self.break_off()

    def break_off(self) -> list[Assignment]:
        """End what is under way, without results."""
        works = list(self._works)
        self._works.clear()
        for work in works:
            if work.break_off is not None:
                work.break_off()
        if self._watch is not None:
            self._watch.cancel()
        return [work.assignment for work in works]

    def _take_in(self, work: _Work, outcome: Outcome) -> None:
        """Judge an outcome at once, or aside where that may take a while."""
        if work not in self._works:
            return
        # What it leads to leads back here: without that it is freed at once.
        work.break_off = None
        group = work.assignment.group
        try:
            elapsed = self._elapsed(work)
            again = second_look(group.probe, outcome, elapsed=elapsed)
            if again is not None or not is_quick(group, outcome):
                self._go_aside(work, outcome, again)
                return
            now = self._server_time(group.tasks[0], elapsed)
            verdicts = judge_tasks(group.tasks, outcome, now=now)
        except Exception as err:  # noqa: BLE001  # it becomes the results
            self._stumble(work, err)
        else:
            if self._references is not None and _is_any_bad(verdicts):
                self._doubt(work, verdicts, elapsed, outcome)
            else:
                self._hand_in(work, verdicts, elapsed, outcome.timings)

    def _doubt(
        self,
        work: _Work,
        verdicts: list[tuple[Task, Verdict]],
        elapsed: timedelta,
        outcome: Outcome,
    ) -> None:
        task = asyncio.create_task(
            self._hand_in_doubtful(work, verdicts, elapsed, outcome)
        )
        work.break_off = task.cancel
        work.give_up_at = math.inf

    async def _hand_in_doubtful(
        self,
        work: _Work,
        verdicts: list[tuple[Task, Verdict]],
        elapsed: timedelta,
        outcome: Outcome,
    ) -> None:
        """Hand failures in, marked if nothing else can be reached from here either."""
        assert self._references is not None
        if not await self._references.is_any_reached():
            verdicts = [(task, _doubted(verdict)) for task, verdict in verdicts]
        self._hand_in(work, verdicts, elapsed, outcome.timings)

    def _go_aside(self, work: _Work, outcome: Outcome, again: Probe | None) -> None:
        task = asyncio.create_task(self._judge_aside(work, outcome, again))
        work.break_off = task.cancel
        # It has limits of its own.
        work.give_up_at = math.inf

    async def _judge_aside(
        self, work: _Work, outcome: Outcome, again: Probe | None
    ) -> None:
        group = work.assignment.group
        try:
            if again is not None:
                outcome = await self._look_again(outcome, again)
            elapsed = self._elapsed(work)
            now = self._server_time(group.tasks[0], elapsed)
            judge = partial(judge_tasks, group.tasks, outcome, now=now)
            quick = is_quick(group, outcome)
            verdicts = judge() if quick else await self._run_blocking(judge)
        except Exception as err:  # noqa: BLE001  # it becomes the results
            self._stumble(work, err)
            return
        if self._references is not None and _is_any_bad(verdicts):
            await self._hand_in_doubtful(work, verdicts, elapsed, outcome)
        else:
            self._hand_in(work, verdicts, elapsed, outcome.timings)

    async def _look_again(self, outcome: Outcome, again: Probe) -> Outcome:
        """Once more, before a timeout counts that may be our own fault."""
        log.warning(
            "Probing %s again: this agent stood still for %d ms while it timed out",
            again.url,
            outcome.timings.timing_error_us / 1000,
        )
        limit_s = again.timeout.total_seconds() + ENGINE_MARGIN_S
        try:
            async with asyncio.timeout(limit_s):
                return choose_outcome(outcome, await self._engine.probe(again))
        except TimeoutError:
            return outcome

    def _stumble(self, work: _Work, err: Exception) -> None:
        """An error of ours becomes the results."""
        group = work.assignment.group
        log.error("Could not probe %s", group.probe.url, exc_info=err)
        verdicts = [(task, describe_error(err)) for task in group.tasks]
        self._hand_in(work, verdicts, self._elapsed(work), None)

    def _hand_in(
        self,
        work: _Work,
        verdicts: list[tuple[Task, Verdict]],
        elapsed: timedelta,
        timings: Timings | None,
    ) -> None:
        self._works.pop(work, None)
        work.break_off = None
        self._reporter.add(encode_results(verdicts, elapsed=elapsed, timings=timings))
        self._ended.set()
        self._when_done(work.assignment)

    def _server_time(self, task: Task, elapsed: timedelta) -> datetime:
        """The server's clock, where it is known: ours may be wrong."""
        if task.leased_at is None or task.leased_at.tzinfo is None:
            return self._clock.utcnow()
        return task.leased_at + elapsed

    def _elapsed(self, work: _Work) -> timedelta:
        since = self._clock.monotonic() - work.assignment.received_at
        return timedelta(seconds=since)

    # Engines that hang

    def _look_after(self, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(delay_s, self._give_up_overdue)

    def _give_up_overdue(self) -> None:
        self._watch = None
        now = self._clock.monotonic()
        for work in [work for work in self._works if work.give_up_at <= now]:
            if work.break_off is not None:
                work.break_off()
            timeout = work.assignment.group.probe.timeout
            limit_s = timeout.total_seconds() + ENGINE_MARGIN_S
            message = f"The probe did not end within {limit_s:g} seconds."
            self._take_in(work, ProbeFailure(FailureKind.INTERNAL, message))
        if self._works and self._watch is None:
            next_at = min(work.give_up_at for work in self._works)
            self._look_after(min(WATCH_INTERVAL_S, next_at - now))
