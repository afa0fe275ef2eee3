"""What happened in a simulation, and the checker that decides whether it may have."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from argos.agent.loop import LEASE_AHEAD_S
from argos.core.incident import EventKind, Outcome, Patience, TaskState, advance
from argos.core.severity import Severity

LONGEST_AHEAD = timedelta(seconds=LEASE_AHEAD_S)


@dataclass(frozen=True, slots=True)
class Lease:
    """The server gave a task group to an agent, whether or not the answer arrived."""

    at: datetime
    agent: str
    group_id: int
    lease_no: int
    until: datetime
    planned_at: datetime | None


@dataclass(frozen=True, slots=True)
class LeaseEnd:
    """A lease ended before its time: by a report that counted, or by a hand-back."""

    at: datetime
    group_id: int
    lease_no: int


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A result as the database has it in the end."""

    task_id: int
    submitted_at: datetime
    severity: Severity
    is_late: bool


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the database has it in the end."""

    task_id: int
    seq: int
    kind: EventKind
    at: datetime
    severity: Severity


@dataclass(frozen=True, slots=True)
class StoredTask:
    """A task as the database has it in the end."""

    task_id: int
    group_id: int
    severity: Severity
    completed_at: datetime | None
    told_severity: Severity
    retries: int


@dataclass
class History:
    """All that the checker looks at."""

    leases: list[Lease] = field(default_factory=list)
    lease_ends: list[LeaseEnd] = field(default_factory=list)
    accepted: set[tuple[int, datetime]] = field(default_factory=set)
    """(task, submitted_at) of the results that were answered 201."""
    results: list[StoredResult] = field(default_factory=list)
    events: list[StoredEvent] = field(default_factory=list)
    tasks: list[StoredTask] = field(default_factory=list)
    calm_from: datetime | None = None
    """From here on no message was lost and every agent lived."""
    end: datetime | None = None
    period: timedelta = timedelta(minutes=1)
    longest_lease: timedelta = timedelta(seconds=45)


def violations(history: History) -> list[str]:
    """What the history breaks of the promises; empty when all held."""
    return [
        *_each_run_once(history),
        *_no_two_holders(history),
        *_nothing_starves(history),
        *_nothing_accepted_is_lost(history),
        *_each_run_moves_once(history),
        *_state_follows_run_order(history),
    ]


def _by_group(history: History) -> dict[int, list[Lease]]:
    groups = defaultdict(list)
    for lease in history.leases:
        groups[lease.group_id].append(lease)
    return groups


def _each_run_once(history: History) -> Iterable[str]:
    """I-01: in calm times each planned run is handed out once, and soon."""
    numbers = [(lease.group_id, lease.lease_no) for lease in history.leases]
    if len(numbers) != len(set(numbers)):
        yield "I-01: one lease number was given out twice"
    for lease in history.leases:
        if history.calm_from is None or lease.at < history.calm_from + history.period:
            continue
        if lease.planned_at is None:
            continue
        lag = lease.at - lease.planned_at
        # A lease may come ahead of the run; the agent waits with it.
        if not -LONGEST_AHEAD <= lag <= timedelta(seconds=5):
            yield f"I-01: group {lease.group_id} started {lag} after it was due"


def _no_two_holders(history: History) -> Iterable[str]:
    """I-02: the next lease of a group begins after the one before it is over."""
    ended = {(end.group_id, end.lease_no): end.at for end in history.lease_ends}
    for group_id, leases in _by_group(history).items():
        for earlier, later in pairwise(leases):
            free_at = ended.get((group_id, earlier.lease_no), earlier.until)
            if later.at < min(free_at, earlier.until):
                yield (
                    f"I-02: group {group_id}: lease {later.lease_no} of {later.agent}"
                    f" began at {later.at}, while {earlier.agent} held"
                    f" {earlier.lease_no} until {free_at}"
                )


def _nothing_starves(history: History) -> Iterable[str]:
    """I-03: while an agent lives, each task runs once per period, lease and poll."""
    assert history.end is not None
    assert history.calm_from is not None
    limit = history.period + history.longest_lease + timedelta(seconds=30)
    measured = defaultdict(list)
    for result in history.results:
        measured[result.task_id].append(result.submitted_at)
    for task in history.tasks:
        moments = sorted(
            moment for moment in measured[task.task_id] if moment >= history.calm_from
        )
        stops = [history.calm_from, *moments, history.end]
        for earlier, later in pairwise(stops):
            if later - earlier > limit:
                yield f"I-03: task {task.task_id} idled from {earlier} to {later}"


def _nothing_accepted_is_lost(history: History) -> Iterable[str]:
    """I-10: what was answered 201 is there."""
    stored = {(result.task_id, result.submitted_at) for result in history.results}
    lost = history.accepted - stored
    if lost:
        yield f"I-10: {len(lost)} accepted results are not stored, as {min(lost)}"


def _each_run_moves_once(history: History) -> Iterable[str]:
    """I-11: a run moves a task once, however often it is reported; I-20, I-22."""
    keys = [(result.task_id, result.submitted_at) for result in history.results]
    if len(keys) != len(set(keys)):
        yield "I-11: one result is stored twice"
    told = defaultdict(list)
    for event in sorted(history.events, key=lambda event: (event.task_id, event.seq)):
        told[event.task_id].append((event.kind, event.severity))
    for task in history.tasks:
        state, expected = _replay(history, task)
        if told[task.task_id] != expected:
            yield (
                f"I-11: task {task.task_id} published {told[task.task_id]}, its"
                f" results demand {expected}"
            )
        if state.told is not task.told_severity:
            yield f"I-20: task {task.task_id} has told {task.told_severity}"


def _replay(
    history: History, task: StoredTask
) -> tuple[TaskState, list[tuple[EventKind, Severity]]]:
    """What a task's results, in run order, make of it."""
    runs = [
        result
        for result in history.results
        if result.task_id == task.task_id and not result.is_late
    ]
    state, events = TaskState(), []
    for result in sorted(runs, key=lambda result: result.submitted_at):
        outcome = Outcome(result.severity, result.submitted_at)
        step = advance(state, outcome, Patience(retries=task.retries))
        state = step.state
        if step.event is not None:
            events.append((step.event, result.severity))
    return state, events


def _state_follows_run_order(history: History) -> Iterable[str]:
    """I-13: the state is that of the newest run that counts."""
    newest: dict[int, StoredResult] = {}
    for result in history.results:
        known = newest.get(result.task_id)
        if not result.is_late and (
            known is None or result.submitted_at > known.submitted_at
        ):
            newest[result.task_id] = result
    for task in history.tasks:
        if task.task_id not in newest:
            continue
        result = newest[task.task_id]
        if (task.severity, task.completed_at) != (result.severity, result.submitted_at):
            yield (
                f"I-13: task {task.task_id} is {task.severity} as of"
                f" {task.completed_at}, its newest run says {result}"
            )
