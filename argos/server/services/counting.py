"""Count new results into the rollups, in the transaction that stores them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from argos.core.probe import is_time_trustworthy
from argos.core.rollup import Kind, Ledger, OpenHour, count_in, hour_of, slot
from argos.core.severity import Severity, Status
from argos.server.database import Session
from argos.server.queries import counting as queries
from argos.server.queries.calm import CalmMove, Glance, RangeMove
from argos.server.queries.results import ScheduleMove, ScheduleRow, TaskMove
from argos.server.queries.storing import NewResult, Stored, StoredRun
from argos.server.services.calm import CalmRun

_Answer = tuple[int | None, int, bool, int | None, int | None]
"""The task group, the hour, and what tells how long an answer took: whether there was one
(what broke off before tells how long something else took), the time, and its error."""
_Counted = tuple[OpenHour, tuple[int, bytes] | None]


@dataclass(slots=True)
class Counting:
    """What some results add: to the open hours of what moves, else to closed hours."""

    moves: Sequence[TaskMove] = ()
    calm_moves: Sequence[CalmMove] = ()
    runs: Sequence[ScheduleMove] = ()
    tasks: Mapping[int, Glance] = field(default_factory=dict)
    schedules: Mapping[int, ScheduleRow] = field(default_factory=dict)
    _by_task: Ledger[int] = field(init=False)
    _by_group: Ledger[bytes] = field(init=False)
    _counted: dict[tuple[OpenHour, int], _Counted] = field(default_factory=dict)
    """What a calm task's open hour becomes when a result of an hour is counted."""

    def __post_init__(self) -> None:
        moving = [move.id for move in self.moves]
        moving += [move.id for move in self.calm_moves]
        tasks = (self.tasks[id_] for id_ in moving)
        self._by_task = Ledger({
            task.id: OpenHour(task.open_hour, task.open_counts or b"") for task in tasks
        })
        groups = (self.schedules[run.id] for run in self.runs)
        self._by_group = Ledger({
            group.key: OpenHour(group.open_hour, group.open_latencies or b"")
            for group in groups
        })

    def count(self, results: Sequence[NewResult], stored: Sequence[Stored]) -> None:
        """Count the results that are new."""
        pairs = zip(results, stored, strict=True)
        self.count_unstored(result for result, outcome in pairs if outcome.is_new)

    def count_unstored(self, results: Iterable[NewResult]) -> None:
        """Count results that are new, whether or not they have rows."""
        moment: datetime | None = None
        hour = 0
        answers: dict[_Answer, int] = {}
        count_task, tasks = self._by_task.count, self.tasks
        for result in results:
            if result.submitted_at != moment:  # the checks of a run have the same
                moment = result.submitted_at
                hour = hour_of(moment)
            task_id, severity = result.task_id, result.severity
            if severity is Severity.OK and not result.in_maintenance:
                kind = Kind.OK  # as nearly all are
            else:
                kind = Kind.of(severity, in_maintenance=result.in_maintenance)
            count_task(task_id, hour, kind)
            task = tasks.get(task_id)
            if task is not None:
                has_answer = result.first_byte_us is not None
                answer = (
                    task.group_id, hour, has_answer or result.status is Status.SUCCESS,
                    result.total_us, result.timing_error_us,
                )  # fmt: skip
                answers[answer] = answers.get(answer, 0) + 1
        self._count_times(answers)

    def count_run(self, run: CalmRun, stored: StoredRun) -> Iterator[RangeMove]:
        """Count a calm run's results that are new; what becomes of its tasks."""
        moment, timings = run.results.submitted_at, run.results.timings
        hour = hour_of(moment)
        new = begin = 0
        for stretch, span in run.stretches:
            end = begin + len(stretch.items)
            known = OpenHour(span.open_hour, span.open_counts or b"")
            for ids, is_new in _alike(stretch.first_id, stored.are_new[begin:end]):
                open_ = known
                if is_new:
                    new += len(ids)
                    open_ = self._count_well(ids, known, hour)
                yield RangeMove(moment, run.schedule.lease_no, *open_, ids[0], ids[-1])
            begin = end
        if new and timings:
            total_us, error_us = timings[-2:]
            if total_us is not None and is_time_trustworthy(total_us, error_us):
                self._by_group.count(run.schedule.key, hour, slot(total_us), new)

    def _count_well(self, ids: Sequence[int], known: OpenHour, hour: int) -> OpenHour:
        """Count an ok of each of some tasks that were alike."""
        counted = self._counted.get((known, hour))
        if counted is None:
            counted = self._counted[known, hour] = count_in(known, hour, Kind.OK)
        open_, over = counted
        if over is not None:
            for id_ in ids:
                self._by_task.close(id_, *over)
        return open_

    def _count_times(self, answers: Mapping[_Answer, int]) -> None:
        """Count how long answers took; those of the checks of a run come as one."""
        times: dict[tuple[bytes, int, int], int] = {}
        for (group_id, hour, has_answer, total_us, error_us), count in answers.items():
            group = self.schedules.get(group_id or 0)
            if group is None or total_us is None or not has_answer:
                continue
            if not is_time_trustworthy(total_us, error_us):
                continue
            key = group.key, hour, slot(total_us)
            times[key] = times.get(key, 0) + count
        for (group_key, hour, number), count in times.items():
            self._by_group.count(group_key, hour, number, count)

    def task_moves(self) -> list[TaskMove]:
        """The moves, with the open hours as they are now."""
        hours = self._by_task.open
        return [
            move._replace(open_hour=open_.hour, open_counts=open_.tally)
            for move in self.moves
            for open_ in (hours[move.id],)
        ]

    def calm_task_moves(self) -> list[CalmMove]:
        """The moves of calm tasks, likewise."""
        hours = self._by_task.open
        return [CalmMove(*move[:3], *hours[move.id]) for move in self.calm_moves]

    def schedule_moves(self) -> list[ScheduleMove]:
        """The moves of task groups, likewise."""
        hours = self._by_group.open
        return [
            run._replace(open_hour=open_.hour, open_latencies=open_.tally)
            for run in self.runs
            for open_ in (hours[self.schedules[run.id].key],)
        ]

    def write_closed(self, session: Session) -> None:
        """Add the hours that are over to their days."""
        queries.add_task_hours(session, hours=self._by_task.closed)
        queries.add_group_hours(session, hours=self._by_group.closed)


def _alike(
    first_id: int, are_new: Sequence[bool]
) -> Iterator[tuple[Sequence[int], bool]]:
    """Ids that follow one another, of tasks whose results are all new, or are not."""
    if all(are_new):  # as nearly always
        yield range(first_id, first_id + len(are_new)), True
        return
    for is_new, alike in groupby(are_new):
        end_id = first_id + sum(1 for _ in alike)
        yield range(first_id, end_id), is_new
        first_id = end_id
