"""What a report says of how its agent fares: at which websites it failed, and where not."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from argos.core.severity import Severity, Status
from argos.core.suspicion import WINDOW
from argos.protocol import AgentResult
from argos.server.queries.calm import Glance
from argos.server.queries.results import TaskRow
from argos.server.services.agent_watch import Look
from argos.server.services.calm import CalmRun
from argos.server.services.report import ReadItem, ReadResult, is_cut_off

Verdicts = Mapping[int, tuple[Status, Severity]]
"""What is said of results, by their items' places in the report."""


def looks(
    read: Iterable[ReadItem],
    verdicts: Verdicts,
    tasks: Mapping[int, Glance],
    restless: Mapping[int, TaskRow],
    *,
    now: datetime,
) -> Iterator[Look]:
    """What results say that were measured just now."""
    leased_at, elapsed_us, is_fresh = None, None, True
    well: tuple[str, bool] | None = None
    for item in read:
        result = item.result
        task = tasks.get(result.task_id)
        if task is None:
            continue
        # The checks of a run were measured at one moment.
        if result.elapsed_us != elapsed_us or result.leased_at != leased_at:
            leased_at, elapsed_us = result.leased_at, result.elapsed_us
            is_fresh = _is_fresh(result, now)
        if not is_fresh:
            continue
        failed = verdicts[item.index][1] is not Severity.OK
        is_untold = _is_untold(restless.get(task.id))
        if failed or (task.domain, is_untold) != well:
            yield Look(task.domain, failed, failed and is_cut_off(item), is_untold)
            # That another check of it is well, too, says no more.
            well = None if failed else (task.domain, is_untold)


def calm_looks(runs: Iterable[CalmRun], *, now: datetime) -> Iterator[Look]:
    """What calm runs say: all of them are well, and nobody was told of a problem."""
    for run in runs:
        if now - run.results.submitted_at < WINDOW:
            yield Look(run.domain, False, False, True)


def _is_untold(task: TaskRow | None) -> bool:
    return task is None or task.told_severity is Severity.OK


def _is_fresh(result: AgentResult | ReadResult, now: datetime) -> bool:
    if result.leased_at is None or result.elapsed_us is None:
        return True
    age = now - result.leased_at - timedelta(microseconds=result.elapsed_us)
    return age < WINDOW
