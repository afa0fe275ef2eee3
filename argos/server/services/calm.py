"""Runs of which all is well, as nearly all are: taken over as a whole.

The checks of a run were measured at one moment, by one probe. Where all of them are ok, of
tasks that are calm, nothing is to be decided: what is stored of a run is mostly the same
for all of its results, and is read, made, counted and written once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from argos.checks.base import FinalizeRules
from argos.schemas import Config
from argos.server.queries.calm import IdRange, Span
from argos.server.queries.results import ScheduleRow
from argos.server.queries.storing import RunResults, StoredRun
from argos.server.services.judging import judge, well_contexts
from argos.server.services.moves import RefusedItem, measured_at
from argos.server.services.report import ReadItem


class Stretch(NamedTuple):
    """Items of one run that follow one another, as do the ids of their tasks."""

    first_id: int
    items: list[ReadItem]

    @property
    def ids(self) -> IdRange:
        """The tasks."""
        return self.first_id, self.first_id + len(self.items) - 1


def find_stretches(read: Iterable[ReadItem]) -> list[Stretch]:
    """All items, in their order."""
    stretches: list[Stretch] = []
    items: list[ReadItem] = []
    next_id, run = -1, None
    for item in read:
        task_id, run_before = item.result.task_id, run
        run = _run_of(item)
        if task_id == next_id and run == run_before:
            items.append(item)
        else:
            items = [item]
            stretches.append(Stretch(task_id, items))
        next_id = task_id + 1
    return stretches


class CalmRun(NamedTuple):
    """A run of which all that was reported is well, and whose tasks were calm before."""

    schedule: ScheduleRow
    stretches: Sequence[tuple[Stretch, Span]]
    results: RunResults

    @property
    def domain(self) -> str:
        """Of the website."""
        return self.stretches[0][1].domain

    def ids(self, stored: StoredRun) -> Iterator[tuple[int, Sequence[int]]]:
        """The ids of what was stored, each with the first place of its stretch."""
        begin = 0
        for stretch, _ in self.stretches:
            end = begin + len(stretch.items)
            yield stretch.items[0].index, stored.ids[begin:end]
            begin = end


@dataclass(frozen=True, slots=True)
class Sieve:
    """What tells calm runs from others."""

    agent: str
    config: Config
    now: datetime
    rules: FinalizeRules
    spans: Mapping[IdRange, Span]
    schedules: Mapping[int, ScheduleRow]
    expected: Mapping[int, str] = field(default_factory=dict)
    """By the tasks whose checks judge themselves."""

    def part(
        self,
        stretches: Iterable[Stretch],
        *,
        restless: set[int],
        maintained: frozenset[int],
    ) -> tuple[list[CalmRun], list[ReadItem]]:
        """The calm runs, and the items of all others.

        `restless` are the task groups of which a part is in no span. Results of tasks
        that are being worked on are counted apart.
        """
        groups: dict[int, list[tuple[Stretch, Span]]] = {}
        runs: list[CalmRun] = []
        others: list[ReadItem] = []
        for stretch in stretches:
            span = self.spans.get(stretch.ids)
            if span is None or span.group_id in restless:
                others += stretch.items
            else:
                groups.setdefault(span.group_id, []).append((stretch, span))
        for group_id, reported in groups.items():
            reported.sort(key=_by_ids)  # the first result says how long all took
            run = self._find_run(reported, self.schedules.get(group_id))
            if run is None or not maintained.isdisjoint(run.results.task_ids):
                for stretch, _ in reported:
                    others += stretch.items
            else:
                runs.append(run)
        others.sort(key=lambda item: item.index)
        return runs, others

    def _find_run(
        self, reported: Sequence[tuple[Stretch, Span]], schedule: ScheduleRow | None
    ) -> CalmRun | None:
        first = reported[0][0].items[0]
        run = _run_of(first)
        if schedule is None or schedule.leased_by != self.agent or None in run[:3]:
            return None
        ids: list[int] = []
        contexts: list[str] = []
        for stretch, span in reported:
            lease_no = stretch.items[0].result.lease_no
            if (
                lease_no != schedule.lease_no
                or lease_no == span.applied_lease_no
                or (stretch.items[0] is not first and _run_of(stretch.items[0]) != run)
            ):
                return None
            ids += range(stretch.first_id, stretch.first_id + len(stretch.items))
            contexts += well_contexts(
                stretch.items, span.checks, self.expected, self.rules
            )
        if not len(set(ids)) == len(ids) == len(contexts):
            return None
        moment = self._measured_at(first, schedule)
        if moment is None:
            return None
        results = RunResults(ids, contexts, self.agent, moment, self.now, first.timings)
        return CalmRun(schedule, reported, results)

    def _measured_at(self, item: ReadItem, schedule: ScheduleRow) -> datetime | None:
        """When a run was measured; None: each item is to be refused, with its reason."""
        try:
            return measured_at(
                item.result, schedule, stored_at=None, now=self.now, config=self.config
            )
        except RefusedItem:
            return None


def judging_tasks(spans: Mapping[IdRange, Span]) -> list[int]:
    """The tasks whose checks judge themselves."""
    return [
        id_
        for (first, last), span in spans.items()
        for id_, check in zip(range(first, last + 1), span.checks, strict=True)
        if judge(check) is not None
    ]


def _by_ids(reported: tuple[Stretch, Span]) -> int:
    return reported[0].first_id


def _run_of(item: ReadItem) -> tuple[object, ...]:
    """What is the same for all results of a run: its lease, when it was made, and how
    long it took."""
    result = item.result
    return result.lease_no, result.elapsed_us, result.leased_at, result.timings
