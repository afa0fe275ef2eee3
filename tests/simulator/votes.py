"""What may have happened to checks that are watched from several locations.

A location surely has a vote whose run is not overdue, and which measured something of
late; whether the others have one is left to the product.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise

from argos.core.flapping import STEADY_RUNS
from argos.core.incident import EventKind
from argos.core.severity import Severity
from tests.simulator.history import (
    Due,
    History,
    Move,
    StoredEvent,
    StoredTask,
    moves_by_task,
)
from tests.simulator.virtual_time import START

GRACE = timedelta(minutes=2)
OPENINGS = {EventKind.OPENED, EventKind.FLAPPING}
FINE = {200, 404}


def i32_nothing_is_told_by_fewer_than_the_quorum(history: History) -> Iterable[str]:
    moves, dues = moves_by_task(history), _dues(history)
    watches = _watches(history)
    for event in history.events:
        task = _task(history, event.task_id)
        if event.kind not in OPENINGS or task.watch is None:
            continue
        told_s = _seconds_of(event, moves[task.task_id])
        others = [each for each in watches[task.watch] if each is not task]
        failing = 1 + sum(_is_failing(moves[each.task_id], told_s) for each in others)
        sure = 1 + sum(
            _has_vote(moves[each.task_id], dues[each.group_id], told_s)
            for each in others
        )
        needed = min(task.quorum or 1, sure)
        if failing < needed:
            yield f"{event} was seen at {failing} locations of {sure}, {needed} needed"


def i22_one_location_tells_at_a_time(history: History) -> Iterable[str]:
    telling: dict[str, int] = {}
    for event in sorted(history.events, key=lambda event: event.id):
        watch = _task(history, event.task_id).watch
        if watch is None:
            continue
        if event.kind is EventKind.CLOSED:
            telling.pop(watch, None)
        elif telling.setdefault(watch, event.task_id) != event.task_id:
            yield f"{event} was told while task {telling[watch]} had told it"


def i32_what_the_quorum_sees_is_told_in_time(history: History) -> Iterable[str]:
    """In calm times, when all agents live and see."""
    for watch, tasks in _watches(history).items():
        retries, quorum = tasks[0].retries, tasks[0].quorum or 1
        limit_s = (retries + 2) * (history.period_s + history.slowest_s)
        limit_s += history.lease_s
        for begin_s, end_s in _outages(history, tasks, quorum):
            by_s = max(begin_s, history.calm_s) + limit_s
            if by_s > min(end_s, history.end_s):
                continue
            if not any(_is_told_at(history, task, by_s) for task in tasks):
                yield f"{watch} was down since {begin_s:.0f} s, untold at {by_s:.0f} s"


def i22_what_is_told_in_the_end_is_so(history: History) -> Iterable[str]:
    last = {event.task_id: event.kind for event in history.events}
    for watch, tasks in _watches(history).items():
        quorum = tasks[0].quorum or 1
        is_flapping = any(
            last.get(each.task_id) is EventKind.FLAPPING for each in tasks
        )
        runs = (STEADY_RUNS if is_flapping else tasks[0].retries) + 4
        start_s = history.end_s - runs * (history.period_s + history.lease_s)
        seen = [_seen(history, each, start_s, history.end_s) for each in tasks]
        bad = sum(not statuses & FINE for statuses in seen)
        maybe_bad = sum(statuses != {200} for statuses in seen)
        for task, statuses in zip(tasks, seen, strict=True):
            is_told = task.told_severity is not Severity.OK
            if is_told and statuses == {200} and maybe_bad < quorum:
                yield f"task {task.task_id} of {watch} has told what is over"
        if bad >= quorum and all(each.told_severity is Severity.OK for each in tasks):
            yield f"{watch} is down at {bad} locations, and nobody was told"


CHECKS = (
    i32_nothing_is_told_by_fewer_than_the_quorum,
    i22_one_location_tells_at_a_time,
    i32_what_the_quorum_sees_is_told_in_time,
    i22_what_is_told_in_the_end_is_so,
)


def _task(history: History, task_id: int) -> StoredTask:
    return next(task for task in history.tasks if task.task_id == task_id)


def _watches(history: History) -> Mapping[str, Sequence[StoredTask]]:
    """The tasks of each check that is still watched."""
    found = defaultdict(list)
    for task in history.tasks:
        if task.watch is not None and not task.is_archived:
            found[task.watch].append(task)
    return found


def _dues(history: History) -> Mapping[int, list[Due]]:
    found = defaultdict(list)
    for due in history.dues:
        found[due.group_id].append(due)
    return found


def _seconds_of(event: StoredEvent, moves: Sequence[Move]) -> float:
    """When the result was taken over that an event is of."""
    for move in moves:
        if move.completed_at == event.at and move.severity is event.severity:
            return move.true_s
    return (event.at - START).total_seconds()


def _is_failing(moves: Sequence[Move], second: float) -> bool:
    """Whether the last that was measured until then was not ok."""
    known = moves[: bisect_right(moves, second, key=lambda move: move.true_s)]
    return bool(known) and known[-1].severity not in {Severity.OK, Severity.UNKNOWN}


def _has_vote(moves: Sequence[Move], dues: Sequence[Due], second: float) -> bool:
    place = bisect_right(dues, second, key=lambda due: due.true_s)
    now = START + timedelta(seconds=second)
    if not place or dues[place - 1].at < now - GRACE:
        return False
    known = moves[: bisect_right(moves, second, key=lambda move: move.true_s)]
    measured = [move for move in known if move.severity is not Severity.UNKNOWN]
    last_s = measured[-1].true_s if measured else known[0].true_s if known else second
    is_blind = bool(known) and known[-1].severity is Severity.UNKNOWN
    return not is_blind or last_s >= second - GRACE.total_seconds()


def _seen(history: History, task: StoredTask, start_s: float, end_s: float) -> set[int]:
    return history.truths[task.url, task.location].statuses(start_s, end_s)


def _outages(
    history: History, tasks: Sequence[StoredTask], quorum: int
) -> Iterable[tuple[float, float]]:
    """When as many locations as it takes could see that a website is down, at once."""
    truths = [history.truths[task.url, task.location] for task in tasks]
    moments = {0.0, history.end_s}
    for truth in truths:
        moments |= {each for outage in truth.outages for each in outage[:2]}
    begin_s: float | None = None
    stops = sorted(moments)
    for start_s, end_s in pairwise(stops):
        middle_s = (start_s + end_s) / 2
        bad = sum(not truth.statuses(middle_s, middle_s) & FINE for truth in truths)
        if bad >= quorum and begin_s is None:
            begin_s = start_s
        elif bad < quorum and begin_s is not None:
            yield begin_s, start_s
            begin_s = None
    if begin_s is not None:
        yield begin_s, history.end_s


def _is_told_at(history: History, task: StoredTask, second: float) -> bool:
    moment = START + timedelta(seconds=second)
    kinds = [
        event.kind
        for event in history.events
        if event.task_id == task.task_id and event.at <= moment
    ]
    return bool(kinds) and kinds[-1] is not EventKind.CLOSED
