"""What the items of a report are about: locked, and looked at as little as needed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

from argos.checks.base import FinalizeRules
from argos.schemas import Config
from argos.server.database import Session
from argos.server.queries.calm import (
    Glance,
    IdRange,
    Span,
    list_expected,
    lock_spans,
    lock_tasks,
)
from argos.server.queries.results import ScheduleRow, lock_schedules
from argos.server.services import peace
from argos.server.services.calm import (
    CalmRun,
    Sieve,
    Stretch,
    find_stretches,
    judging_tasks,
)
from argos.server.services.report import ReadItem


@dataclass(slots=True)
class Lookup:
    """Tasks and their groups, of the items of one batch."""

    session: Session
    agent: str
    config: Config
    now: datetime
    rules: FinalizeRules
    tasks: dict[int, Glance] = field(default_factory=dict)
    """Of all items but those of calm runs, at least."""
    schedules: dict[int, ScheduleRow] = field(default_factory=dict)
    maintained: frozenset[int] = frozenset()
    """The tasks that are being worked on."""

    def part(
        self, read: Sequence[ReadItem], *, in_runs: bool
    ) -> tuple[Sequence[CalmRun], Sequence[ReadItem]]:
        """The runs of which all is well and goes without saying; what is left.

        Not `in_runs`: all is left.
        """
        stretches = find_stretches(read)
        spans: Mapping[IdRange, Span] = {}
        if in_runs:
            ranges = [one.ids for one in stretches]
            spans, self.tasks = lock_spans(self.session, ranges=ranges)
        restless = self._list_restless(stretches, spans)
        groups = {span.group_id for span in spans.values()} | restless
        self.schedules = lock_schedules(self.session, ids=groups)
        self.maintained = peace.find_maintained(
            self.session,
            {item.result.task_id for item in read},
            config=self.config,
            now=self.now,
        )
        calm, others = self._sieve(spans).part(
            stretches, restless=restless, maintained=self.maintained
        )
        self._look(others)
        return calm, others

    def _list_restless(
        self, stretches: Sequence[Stretch], spans: Mapping[IdRange, Span]
    ) -> set[int]:
        """The groups of what is in no span."""
        left = (one.items for one in stretches if one.ids not in spans)
        items = list(chain.from_iterable(left))
        self._look(items)
        tasks = (self.tasks.get(item.result.task_id) for item in items)
        return {task.group_id for task in tasks if task and task.group_id is not None}

    def _look(self, read: Iterable[ReadItem]) -> None:
        """Lock the tasks of items, as far as they are not yet known."""
        ids = {item.result.task_id for item in read} - self.tasks.keys()
        if ids:
            self.tasks |= lock_tasks(self.session, ids=ids)

    def _sieve(self, spans: Mapping[IdRange, Span]) -> Sieve:
        judging = judging_tasks(spans)
        return Sieve(
            self.agent,
            self.config,
            self.now,
            self.rules,
            spans,
            self.schedules,
            list_expected(self.session, ids=judging) if judging else {},
        )
