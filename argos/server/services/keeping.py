"""Which results of a report have a row, and how those are known that have none.

All are counted. Of a task that is well and stays so, a row says what the one before said;
with `results.keep: changes` only the first of each hour is stored. The task's own row
holds when the last one was measured, and how many were left out since.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from argos.checks import get_registered_check
from argos.core.lease_log import LeaseLog
from argos.core.rollup import hour_of
from argos.core.schedule import EPOCH
from argos.errors import CheckNotFound
from argos.schemas import Config
from argos.schemas.config import Keep
from argos.server.queries.calm import CalmMove, Glance, LogMove, is_plain
from argos.server.queries.results import TaskMove
from argos.server.queries.storing import NewResult
from argos.server.services.judging import NOTHING


@dataclass(slots=True)
class Keeping:
    """What becomes of the results of one batch."""

    config: InitVar[Config]
    tasks: Mapping[int, Glance]
    now: datetime
    kept: list[NewResult] = field(default_factory=list)
    """Those that have a row."""
    left_out: dict[int, NewResult] = field(default_factory=dict)
    """Those that have none, by task: each is of its task's newest lease."""
    standing: dict[int, int | None] = field(default_factory=dict)
    """By tasks whose row stands for the next ones: the fingerprint of its facts."""
    log_moves: list[LogMove] = field(default_factory=list)
    is_sparing: bool = field(init=False)
    """Whether results may go without a row."""

    def __post_init__(self, config: Config) -> None:
        self.is_sparing = config.results.keep is Keep.CHANGES

    def knows(self, task: Glance, lease_no: int | None) -> bool:
        """Whether a run was reported before, and counted, maybe without a row."""
        return lease_no is not None and lease_log(task).knows(
            lease_no, last=task.applied_lease_no
        )

    def sort(
        self,
        results: Sequence[NewResult],
        *,
        calm: Sequence[CalmMove],
        moves: Sequence[TaskMove],
    ) -> None:
        """Tell which results have rows; the moves are those that the results make."""
        leases = {move.id: move.applied_lease_no for move in moves}
        calm_leases = {move.id: move.applied_lease_no for move in calm}
        for result in results:
            task = self.tasks[result.task_id]
            if result.is_late or (not self.is_sparing and is_plain(task)):
                self.kept.append(result)
            elif result.task_id in calm_leases:
                self._sort_calm(task, result, calm_leases[result.task_id])
            else:
                self._keep(task, result, leases[result.task_id])

    def _sort_calm(self, task: Glance, result: NewResult, lease_no: int) -> None:
        if not self.is_sparing or result.in_maintenance:
            self._keep(task, result, lease_no)
            return
        facts = fingerprint(task.check, result.context)
        is_like_the_last = (
            task.left_out is not None
            and task.kept_facts == facts
            and task.open_hour == hour_of(result.submitted_at)
        )
        if is_like_the_last and self._note(task, lease_no, has_row=False):
            self.left_out[task.id] = result
            return
        self.standing[task.id] = facts
        self._keep(task, result, lease_no)

    def _keep(self, task: Glance, result: NewResult, lease_no: int) -> None:
        self._note(task, lease_no, has_row=True)
        if task.left_out:
            result = result._replace(left_out=task.left_out)
        self.kept.append(result)

    def _note(self, task: Glance, lease_no: int, *, has_row: bool) -> bool:
        """Note a lease as over; False when there is no room for one without a row."""
        if has_row and task.unbroken_since is None:
            return True
        before = lease_log(task)
        after = before.applied(
            lease_no,
            last=task.applied_lease_no,
            day=(self.now - EPOCH).days,
            has_row=has_row,
        )
        if after is None:
            return False
        if after is not before:
            move = LogMove(task.id, after.begin, after.earlier or None)
            self.log_moves.append(move)
        return True


def lease_log(task: Glance) -> LeaseLog:
    """What a task's row holds of its leases."""
    return LeaseLog(task.unbroken_since, task.earlier_leases or b"")


def fingerprint(check: str, context: str) -> int | None:
    """What tells the facts of a success from others; None: there are none."""
    return None if context == NOTHING else _fingerprint(check, context)


@lru_cache(maxsize=4096)
def _fingerprint(check: str, context: str) -> int:
    facts: dict[str, Any] = json.loads(context)
    passing = _passing_facts(check)
    lasting = {key: value for key, value in facts.items() if key not in passing}
    digest = blake2b(json.dumps(lasting, sort_keys=True).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), signed=True)


def _passing_facts(check: str) -> frozenset[str]:
    try:
        return get_registered_check(check).passing_facts
    except CheckNotFound:
        return frozenset()
