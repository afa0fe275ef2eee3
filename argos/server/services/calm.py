"""Runs of which all is well, as nearly all are: taken over as a whole.

The checks of a run were measured at one moment, by one probe. Where all of them are ok, of
tasks that are calm, nothing is to be decided: what is stored of a run is mostly the same
for all of its results, and is made, counted and written once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from argos.checks.base import FinalizeRules
from argos.schemas import Config
from argos.server.queries.calm import Glance
from argos.server.queries.results import ScheduleRow
from argos.server.queries.storing import RunResults, Stored
from argos.server.services.judging import well_context
from argos.server.services.keeping import is_plain
from argos.server.services.moves import RefusedItem, measured_at
from argos.server.services.report import ReadItem


class CalmRun(NamedTuple):
    """A run of which all that was reported is well, and whose tasks were calm before."""

    schedule: ScheduleRow
    tasks: Sequence[Glance]
    places: Sequence[int]
    """Of the items in the report."""
    results: RunResults

    def ids(self, stored: Mapping[int, Stored]) -> Iterator[tuple[int, int]]:
        """The places, with the ids of what was stored, by task."""
        for place, task in zip(self.places, self.tasks, strict=True):
            yield place, stored[task.id].id


@dataclass(frozen=True, slots=True)
class Sieve:
    """What tells calm runs from others."""

    agent: str
    config: Config
    now: datetime
    rules: FinalizeRules
    tasks: Mapping[int, Glance]
    schedules: Mapping[int, ScheduleRow]

    def part(
        self, read: Iterable[ReadItem], *, maintained: frozenset[int]
    ) -> tuple[list[CalmRun], list[ReadItem]]:
        """The calm runs, and the items of all others.

        Results of tasks that are being worked on are counted apart.
        """
        groups: dict[int, list[tuple[ReadItem, Glance]]] = {}
        runs: list[CalmRun] = []
        others: list[ReadItem] = []
        find_task = self.tasks.get
        for item in read:
            task = find_task(item.result.task_id)
            if task is None or task.group_id is None:
                others.append(item)
            elif task.group_id in groups:
                groups[task.group_id].append((item, task))
            else:
                groups[task.group_id] = [(item, task)]
        for group_id, reported in groups.items():
            run = self._find_run(reported, self.schedules.get(group_id))
            if run is None or not maintained.isdisjoint(run.results.task_ids):
                others += (item for item, _ in reported)
            else:
                runs.append(run)
        others.sort(key=lambda item: item.index)
        return runs, others

    def _find_run(
        self, reported: Sequence[tuple[ReadItem, Glance]], schedule: ScheduleRow | None
    ) -> CalmRun | None:
        first = reported[0][0]
        run = _moments(first)
        if schedule is None or schedule.leased_by != self.agent or None in run[:2]:
            return None
        lease_no = schedule.lease_no
        tasks: dict[int, Glance] = {}
        contexts: list[str] = []
        for item, task in reported:
            if (
                not task.is_calm
                or task.is_archived
                or not is_plain(task)
                or task.applied_lease_no == lease_no
                or item.result.lease_no != lease_no
                or (item is not first and _moments(item) != run)
                or (context := well_context(item, task, self.rules)) is None
            ):
                return None
            tasks[task.id] = task
            contexts.append(context)
        if len(tasks) < len(reported):
            return None
        try:
            moment = measured_at(
                first.result,
                schedule,
                stored_at=None,
                now=self.now,
                config=self.config,
            )
        except RefusedItem:
            return None  # each with its reason
        ids = tuple(tasks)
        results = RunResults(ids, contexts, self.agent, moment, self.now, first.timings)
        places = [item.index for item, _ in reported]
        return CalmRun(schedule, tuple(tasks.values()), places, results)


def _moments(item: ReadItem) -> tuple[object, ...]:
    """What is the same for all results of a run: when it was made, and how long it took."""
    result = item.result
    return result.elapsed_us, result.leased_at, result.timings
