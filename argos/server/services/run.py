"""A task group's run: when it ended, and when the next one comes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from argos.core.schedule import effective_period, missed_runs, next_run
from argos.core.severity import Severity
from argos.server.queries.counting import NewGap
from argos.server.queries.results import ScheduleMove, ScheduleRow, TaskMove
from argos.server.services.second_opinion import Question


def is_in_trouble(severity: Severity, told: Severity) -> bool:
    """Whether the next run is to come sooner: it fails, or recovers."""
    return severity is not Severity.OK or told is not Severity.OK


@lru_cache(maxsize=1024)  # of a fleet, most groups have one of a few
def _minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


@dataclass(slots=True)
class Run:
    """A task group's run that is over, or of which a part is."""

    schedule: ScheduleRow
    ended_at: datetime | None = None
    recheck_delay: float | None = None
    """Minutes; the shortest of the tasks that are not ok."""
    missed: int = 0
    """Runs that were planned before this one and never took place."""
    question: Question | None = None
    """Who is not to make the next run, which comes at once."""

    def add(
        self, move: TaskMove, *, recheck_delay: float | None, question: Question | None
    ) -> None:
        self.question = self.question or question
        self.end_at(move.completed_at)
        trouble = is_in_trouble(move.severity, move.told_severity)
        if trouble and recheck_delay is not None:
            known = self.recheck_delay
            self.recheck_delay = min(recheck_delay, known or recheck_delay)

    def end_at(self, moment: datetime) -> None:
        """Another task of the group was measured."""
        if self.ended_at is None or moment > self.ended_at:
            self.ended_at = moment

    def end(self) -> ScheduleMove:
        schedule = self.schedule
        frequency = _minutes(schedule.frequency)
        ended_at = self.ended_at
        assert ended_at is not None
        if schedule.leased_at is not None:
            # However early a clock may call it: the run that was planned is over.
            ended_at = max(ended_at, schedule.next_run or ended_at)
        upcoming = next_run(
            ended_at,
            frequency=frequency,
            key=schedule.key,
            recheck_delay=None
            if self.recheck_delay is None
            else _minutes(self.recheck_delay),
        )
        if self.question is not None:
            upcoming = self.ended_at or ended_at
        question = self.question
        if schedule.leased_at is None:
            # Another part of this run came before, and planned the next one; or the
            # lease was given back, and what was planned is this very run.
            planned = schedule.next_run
            if planned is not None and (planned > ended_at or schedule.not_for):
                upcoming = min(upcoming, planned)
            if question is None and schedule.not_for is not None:
                question = Question(schedule.not_for, schedule.not_at)
        else:
            self.missed = missed_runs(schedule.next_run, upcoming, frequency)
        return ScheduleMove(
            schedule.id,
            upcoming,
            schedule.missed_runs + self.missed,
            not_for=question.agent if question else None,
            not_at=question.location if question else None,
        )

    def gap(self) -> NewGap | None:
        """What was missed before this run, after it ended."""
        planned_at = self.schedule.next_run
        if planned_at is None or not self.missed:
            return None
        period = effective_period(_minutes(self.schedule.frequency))
        end = planned_at + self.missed * period
        return NewGap(self.schedule.key, planned_at, end, self.missed)
