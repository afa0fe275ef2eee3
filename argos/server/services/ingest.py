"""Take over what agents report: results, states, incidents, deliveries, next runs.

One transaction for each batch. Rows are locked in the order of their ids, so that two
batches never wait for each other in a circle; nothing is sent from here.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from argos.checks import get_registered_check
from argos.checks.base import FinalizeRules, finalize_by_status
from argos.core.incident import Outcome, Step, TaskState, advance
from argos.core.schedule import effective_period, missed_runs, next_run
from argos.core.severity import Severity, Status
from argos.errors import CheckNotFound
from argos.protocol import MAX_REPORT_RESULTS, AgentResult, Refusal, ReportAnswer
from argos.schemas import Config
from argos.server.database import Database, Session
from argos.server.queries import results as queries
from argos.server.queries.counting import NewGap, add_gaps
from argos.server.queries.results import (
    NewResult,
    ResultKey,
    ScheduleMove,
    ScheduleRow,
    TaskMove,
    TaskRow,
)
from argos.server.services.counting import Counting
from argos.server.services.publish import Change, publish
from argos.server.services.report import ReadItem, read_items

log = logging.getLogger(__name__)

OLDEST_RESULT = timedelta(days=30)
TOLERATED_SKEW = timedelta(seconds=5)


class _Refused(Exception):  # noqa: N818  # not an error: an answer
    """Why an item is not stored."""


def ingest(
    database: Database,
    *,
    agent: str,
    items: Sequence[object],
    config: Config,
    now: datetime,
) -> ReportAnswer:
    """Take over a report of an agent; bad items are refused, each with its reason."""
    answer = ReportAnswer(result_ids=[], refused=[])
    for start in range(0, len(items), MAX_REPORT_RESULTS):
        part = items[start : start + MAX_REPORT_RESULTS]
        read, refused = read_items(part, first_index=start)
        batch = Batch(agent=agent, config=config, now=now)
        with database.transaction() as session:
            batch.take(session, read)
        answer.result_ids.extend(batch.result_ids())
        answer.refused.extend(sorted(refused + batch.refused, key=lambda no: no.index))
    for refusal in answer.refused:
        log.warning(
            "A result of agent %s for task %s was refused: %s",
            agent, refusal.task_id, refusal.reason,
        )  # fmt: skip
    return answer


@dataclass(slots=True)
class Batch:
    """A batch on its way from items to rows."""

    agent: str
    config: Config
    now: datetime
    refused: list[Refusal] = field(default_factory=list)
    _results: list[NewResult] = field(default_factory=list)
    _tasks: dict[int, TaskRow] = field(default_factory=dict)
    _schedules: dict[int, ScheduleRow] = field(default_factory=dict)
    _moves: list[TaskMove] = field(default_factory=list)
    _changes: list[Change] = field(default_factory=list)
    _runs: dict[int, "_Run"] = field(default_factory=dict)
    _ids: dict[ResultKey, int] = field(default_factory=dict)

    def take(self, session: Session, read: Sequence[ReadItem]) -> None:
        """Decide on each item, then write all at once."""
        if not read:
            return
        self._load(session, {item.result.task_id for item in read})
        rules = finalize_rules(self.config)
        for item in read:
            try:
                self._take_item(item, rules)
            except _Refused as refusal:
                self._refuse(item, str(refusal))
        stored = queries.add_results(session, results=self._results)
        self._ids = stored.ids
        counting = Counting(
            self._moves,
            [run.end() for run in self._runs.values()],
            self._tasks,
            self._schedules,
        )
        counting.count(self._results, stored.new)
        queries.move_tasks(session, moves=counting.task_moves())
        queries.move_schedules(session, moves=counting.schedule_moves())
        counting.write_closed(session)
        gaps = [run.gap() for run in self._runs.values()]
        add_gaps(session, gaps=[gap for gap in gaps if gap])
        publish(session, changes=self._changes, config=self.config, now=self.now)

    def result_ids(self) -> list[int]:
        """The ids of the stored results, in the order of the items."""
        return [
            self._ids[ResultKey(result.task_id, result.submitted_at)]
            for result in self._results
        ]

    def _load(self, session: Session, task_ids: Iterable[int]) -> None:
        self._tasks = queries.lock_tasks(session, ids=sorted(task_ids))
        groups = {row.group_id for row in self._tasks.values()} - {None}
        self._schedules = queries.lock_schedules(
            session, ids=sorted(group for group in groups if group is not None)
        )

    def _take_item(self, item: ReadItem, rules: FinalizeRules) -> None:
        task = self._tasks.get(item.result.task_id)
        if task is None:
            raise _Refused("There is no such task.")
        schedule = self._schedules.get(task.group_id or 0)
        moves_state = _moves_state(item.result, task, schedule, agent=self.agent)
        submitted_at = self._measured_at(item.result, schedule)
        status, severity = _finalize(item, task, rules)
        self._results.append(
            NewResult(
                task_id=task.id,
                agent_id=self.agent,
                submitted_at=submitted_at,
                received_at=self.now,
                status=status,
                severity=severity,
                context=item.context,
                is_late=not moves_state,
                **(vars(item.result.timings) if item.result.timings else {}),
            )
        )
        if moves_state:
            assert schedule is not None
            self._move(item, task, schedule)

    def _measured_at(
        self, result: AgentResult, schedule: ScheduleRow | None
    ) -> datetime:
        if result.leased_at is None or result.elapsed_us is None:
            return self.now
        moment = result.leased_at + timedelta(microseconds=result.elapsed_us)
        if moment > self.now + TOLERATED_SKEW:
            if schedule is not None and schedule.leased_at == result.leased_at:
                # Our own clock was set back since the lease.
                return self.now
            raise _Refused("It was measured in the future.")
        if moment < self.now - OLDEST_RESULT:
            raise _Refused(f"It is older than {OLDEST_RESULT.days} days.")
        return moment

    def _move(self, item: ReadItem, task: TaskRow, schedule: ScheduleRow) -> None:
        result = self._results[-1]
        state = TaskState(
            told=task.told_severity,
            contiguous_failures=task.contiguous_failures,
            failing_since=task.failing_since,
            has_run=task.completed_at is not None,
        )
        step = advance(
            state,
            Outcome(result.severity, result.submitted_at),
            retries=task.retry_before_notification,
        )
        move = _task_move(task, result, step, lease_no=schedule.lease_no)
        self._moves.append(move)
        if step.event is not None:
            self._changes.append(Change(task, move, step, self.agent, item.context))
        run = self._runs.setdefault(schedule.id, _Run(schedule))
        run.add(move, recheck_delay=task.recheck_delay)
        # The same run again, later in this batch, must find its state moved.
        self._tasks[task.id] = task._replace(applied_lease_no=schedule.lease_no)

    def _refuse(self, item: ReadItem, reason: str) -> None:
        self.refused.append(
            Refusal(index=item.index, task_id=item.result.task_id, reason=reason)
        )


def _moves_state(
    result: AgentResult, task: TaskRow, schedule: ScheduleRow | None, *, agent: str
) -> bool:
    """Whether a result is of its task group's newest lease, for the first time.

    Else it is late: stored, but it moves nothing. Agents of 0.10.3 know no fence; theirs
    is the newest lease if they hold it.
    """
    if task.archived_at is not None or schedule is None:
        return False
    if result.lease_no is not None:
        if result.lease_no > schedule.lease_no:
            raise _Refused("This lease was never given out.")
        if result.lease_no < schedule.lease_no:
            return False
        if schedule.leased_by != agent:
            raise _Refused("Another agent holds this lease.")
    is_holder = schedule.leased_by == agent
    return is_holder and task.applied_lease_no != schedule.lease_no


def _finalize(
    item: ReadItem, task: TaskRow, rules: FinalizeRules
) -> tuple[Status, Severity]:
    try:
        check = get_registered_check(task.check)
    except CheckNotFound:
        return finalize_by_status(item.result.status)
    return check.finalize(item.result.status, item.facts, rules, expected=task.expected)


def _task_move(
    task: TaskRow, result: NewResult, step: Step, *, lease_no: int
) -> TaskMove:
    since = task.severity_since
    if since is None or result.severity is not task.severity:
        since = result.submitted_at
    is_ok = result.severity is Severity.OK
    return TaskMove(
        id=task.id,
        severity=result.severity,
        severity_since=since,
        completed_at=result.submitted_at,
        last_status=result.status,
        contiguous_failures=step.state.contiguous_failures,
        failing_since=step.state.failing_since,
        told_severity=step.state.told,
        already_retried=not is_ok and task.recheck_delay is not None,
        applied_lease_no=lease_no,
        event_count=task.event_count + (step.event is not None),
    )


@dataclass(slots=True)
class _Run:
    """A task group's run that is over, or of which a part is."""

    schedule: ScheduleRow
    ended_at: datetime | None = None
    recheck_delay: float | None = None
    """Minutes; the shortest of the tasks that are not ok."""
    missed: int = 0
    """Runs that were planned before this one and never took place."""

    def add(self, move: TaskMove, *, recheck_delay: float | None) -> None:
        self.ended_at = max(self.ended_at or move.completed_at, move.completed_at)
        if move.severity is not Severity.OK and recheck_delay is not None:
            known = self.recheck_delay
            self.recheck_delay = min(recheck_delay, known or recheck_delay)

    def end(self) -> ScheduleMove:
        schedule = self.schedule
        frequency = timedelta(minutes=schedule.frequency)
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
            else timedelta(minutes=self.recheck_delay),
        )
        if schedule.leased_at is None:
            # Another part of this run came before, and planned the next one.
            upcoming = min(upcoming, schedule.next_run or upcoming)
        else:
            self.missed = missed_runs(schedule.next_run, upcoming, frequency)
        return ScheduleMove(schedule.id, upcoming, schedule.missed_runs + self.missed)

    def gap(self) -> NewGap | None:
        """What was missed before this run, after it ended."""
        planned_at = self.schedule.next_run
        if planned_at is None or not self.missed:
            return None
        period = effective_period(timedelta(minutes=self.schedule.frequency))
        end = planned_at + self.missed * period
        return NewGap(self.schedule.key, planned_at, end, self.missed)


def finalize_rules(config: Config) -> FinalizeRules:
    """What the config says on judging."""
    return FinalizeRules(
        ssl_thresholds=tuple(config.ssl.thresholds), ssl_invalid=config.ssl.invalid
    )
