"""What one result may move, and what it makes of its task. Pure."""

from datetime import datetime, timedelta

from argos.core.incident import Step
from argos.protocol import AgentResult
from argos.schemas import Config
from argos.server.queries.calm import Glance
from argos.server.queries.results import ScheduleRow, TaskMove, TaskRow
from argos.server.queries.storing import NewResult
from argos.server.services.report import ReadResult
from argos.server.services.run import is_in_trouble

OLDEST_RESULT = timedelta(days=30)
KEPT_LONGER = timedelta(hours=1)
"""So much longer than the config says results stay. One that is reported again is known
by its row: it must not be taken any more some time before that may be gone, by the clock
of any server and however long a call is held up. That time is half of this."""
TOLERATED_SKEW = timedelta(seconds=5)


class RefusedItem(Exception):  # noqa: N818  # not an error: an answer
    """Why an item is not stored."""


def moves_state(
    result: AgentResult | ReadResult,
    task: Glance,
    schedule: ScheduleRow | None,
    *,
    agent: str,
) -> bool:
    """Whether a result is of its task group's newest lease, for the first time.

    Else it is late: stored, but it moves nothing. Agents of 0.10.3 know no fence; theirs
    is the newest lease if they hold it.
    """
    if task.is_archived or schedule is None:
        return False
    if result.lease_no is not None:
        if result.lease_no > schedule.lease_no:
            raise RefusedItem("This lease was never given out.")
        if result.lease_no < schedule.lease_no:
            return False
        if schedule.leased_by != agent:
            raise RefusedItem("Another agent holds this lease.")
    is_holder = schedule.leased_by == agent
    return is_holder and task.applied_lease_no != schedule.lease_no


def measured_at(
    result: AgentResult | ReadResult,
    schedule: ScheduleRow | None,
    *,
    stored_at: datetime | None,
    now: datetime,
    config: Config,
) -> datetime:
    """When a result was measured, by our clock.

    `stored_at` says so of the run that was applied last, if the result is of that one.
    """
    if result.leased_at is None or result.elapsed_us is None:
        return now
    try:
        moment = result.leased_at + timedelta(microseconds=result.elapsed_us)
    except OverflowError as err:
        raise RefusedItem("It was measured in the future.") from err
    if stored_at is not None and stored_at < result.leased_at:
        # Measured before it was leased: our clock was set back in between, and
        # this is the same result once more, whatever the clock says by now.
        moment = stored_at
    elif moment > now + TOLERATED_SKEW:
        if schedule is not None and schedule.leased_at == result.leased_at:
            # Our own clock was set back since the lease.
            return now
        raise RefusedItem("It was measured in the future.")
    _refuse_outdated(now - moment, config.recurring_tasks.max_results_age)
    return moment


def _refuse_outdated(age: timedelta, kept_for: timedelta) -> None:
    if age > OLDEST_RESULT:
        raise RefusedItem(f"It is older than {OLDEST_RESULT.days} days.")
    if age > kept_for + KEPT_LONGER / 2:
        raise RefusedItem("It is older than results are kept.")


def task_move(
    task: TaskRow, result: NewResult, step: Step, *, lease_no: int
) -> TaskMove:
    """What a result makes of its task, besides what the rollups count."""
    since = task.severity_since
    if since is None or result.severity is not task.severity:
        since = result.submitted_at
    rechecks = is_in_trouble(result.severity, step.state.told)
    return TaskMove(
        id=task.id,
        severity=result.severity,
        severity_since=since,
        completed_at=result.submitted_at,
        last_status=result.status,
        contiguous_failures=step.state.contiguous_failures,
        failing_since=step.state.failing_since,
        told_severity=step.state.told,
        already_retried=rechecks and task.recheck_delay is not None,
        applied_lease_no=lease_no,
        event_count=task.event_count + (step.event is not None),
    )
