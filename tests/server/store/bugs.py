"""Bugs to be planted in the product, each of which the audit must find."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from argos.core.incident import advance
from argos.core.severity import Severity
from argos.server.models import DeliveryTarget
from argos.server.queries import (
    arrival,
    deliveries,
    leases,
    storing,
    sync,
    upkeep as housework,
)
from argos.server.queries.deliveries import add_deliveries
from argos.server.queries.storing import Stored, add_results
from argos.server.services import dispatch, ingest
from argos.server.services.counting import Counting
from argos.server.services.moves import moves_state, task_move

Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug, and the promise that it breaks."""

    name: str
    breaks: str
    """What at least one of the faults begins with."""
    plant: Plant
    needs_threads: bool = False
    """It shows only when several do something at once."""


def _no_fence(result: Any, task: Any, schedule: Any, *, agent: str) -> bool:
    if schedule is None:
        return False
    newest: Any = SimpleNamespace(lease_no=schedule.lease_no)
    return moves_state(newest, task, schedule, agent=schedule.leased_by or agent)


def _any_agent(result: Any, task: Any, schedule: Any, *, agent: str) -> bool:
    if schedule is not None:
        agent = schedule.leased_by
    return moves_state(result, task, schedule, agent=agent)


def _count_repeats(self: Counting, new: Any, stored: Iterable[Stored]) -> None:
    _count(self, new, [one._replace(is_new=True) for one in stored])


_count = Counting.count


def _keep_four_of_five(session: Any, **more: Any) -> Any:
    stored = add_results(session, **more)
    lost = [one.id for one in stored if one.id % 5 == 0]
    for id_ in lost:
        session.connection().exec_driver_sql(f"DELETE FROM results WHERE id = {id_}")
    return stored


def _never_reset(state: Any, outcome: Any, patience: Any) -> Any:
    step = advance(state, outcome, patience)
    most = max(step.state.contiguous_failures, state.contiguous_failures)
    return replace(step, state=replace(step.state, contiguous_failures=most))


def _forget(*arguments: Any, **more: Any) -> Any:
    return task_move(*arguments, **more)._replace(told_severity=Severity.OK)


def _one_recipient(session: Any, **more: Any) -> None:
    kept = [one for one in more["deliveries"] if one.recipient != "local"]
    add_deliveries(session, deliveries=kept)


def _mark_first(self: Any, claim: Any, *rest: Any) -> bool:
    done: bool = self._sent(claim)
    _send(self, claim, *rest)
    return done


_send = dispatch._Lane._send


def _target_without_lock(session: Any, *, recipient: str) -> DeliveryTarget:
    session.execute(deliveries._ADD_TARGET, {"recipient": recipient})
    found: DeliveryTarget = session.get_one(DeliveryTarget, recipient)
    return found


def _delete_too_much(session: Any, *, before: Any, **more: Any) -> Any:
    return _delete(session, before=before + timedelta(minutes=90), **more)


_delete = housework.delete_old_results


def _set(target: Any, name: str, value: Any) -> Plant:
    return lambda patch: patch.setattr(target, name, value)


def _plant_leases_that_never_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leases, "_IS_DUE", "due_at <= :horizon + 60000000")
    leases._lease_sql.cache_clear()


def _plant_leases_without_a_lock(patch: pytest.MonkeyPatch) -> None:
    lock = "FOR NO KEY UPDATE SKIP LOCKED"
    assert lock in leases._LEASE_POSTGRESQL
    patch.setattr(
        leases, "_LEASE_POSTGRESQL", leases._LEASE_POSTGRESQL.replace(lock, "")
    )
    leases._lease_sql.cache_clear()


def _nothing(*_: Any, **__: Any) -> None:
    return None


BUGS = [
    Bug("the fence is dropped", "I-1", _set(ingest, "moves_state", _no_fence)),
    Bug("anybody reports a run", "I-15", _set(ingest, "moves_state", _any_agent)),
    Bug(
        "lease numbers begin anew with a reload",
        "I-1",
        _set(arrival, "continue_leases", _nothing),
    ),
    Bug("a lease does not keep others away", "I-02", _plant_leases_that_never_last),
    Bug(
        "repeats are counted",
        "rollups",
        _set(Counting, "count", _count_repeats),
    ),
    Bug(
        "hours that are over are forgotten",
        "rollups",
        _set(Counting, "write_closed", _nothing),
    ),
    Bug(
        "results are answered 201 and not kept",
        "I-10",
        _set(storing, "add_results", _keep_four_of_five),
    ),
    Bug(
        "retention deletes too much",
        "I-10",
        _set(housework, "delete_old_results", _delete_too_much),
    ),
    Bug(
        "the failure count is never reset",
        "I-20",
        _set(ingest, "advance", _never_reset),
    ),
    Bug("it is forgotten what was told", "I-2", _set(ingest, "task_move", _forget)),
    Bug(
        "an event is told to some only",
        "I-21",
        _set(deliveries, "add_deliveries", _one_recipient),
    ),
    Bug("marked before it is sent", "I-25", _set(dispatch._Lane, "_send", _mark_first)),
    Bug(
        "two claim a message at once",
        "I-29",
        _set(deliveries, "lock_target", _target_without_lock),
        needs_threads=True,
    ),
    Bug(
        "a reload adds and does not remove",
        "I-51",
        _set(sync, "archive_tasks", _nothing),
    ),
    Bug(
        "a lease locks nothing",
        "I-02",
        _plant_leases_without_a_lock,
        needs_threads=True,
    ),
]
