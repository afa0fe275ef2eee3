"""Bugs to be planted in the product, each of which the checker must find.

Some are triggers that spoil what the product writes; others replace a function.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from argos.core.quorum import Ballot, View, weigh
from tests.simulator.diary import Trigger


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug, and the promises that it breaks."""

    name: str
    breaks: str
    """What at least one of the violations begins with."""
    trigger: Trigger | None = None
    replace: tuple[str, Callable[..., Any]] | None = None
    """The dotted name of a function, and the wrong one."""
    is_of_places: bool = False
    """It shows where websites are watched from several places."""
    is_for_postgresql: bool = False
    """It is looked for there, too: what one database notes, the other does."""


def _no_fence(_result: Any, task: Any, schedule: Any, **_: Any) -> bool:
    return not task.is_archived and schedule is not None


def _knows_nothing(*_: Any) -> bool:
    return False


def _one_is_enough(views: Sequence[View], *, quorum: int) -> Ballot:
    return replace(weigh(views, quorum=quorum), needed=1)


def _nobody_told(views: Sequence[View], *, quorum: int) -> Ballot:
    return replace(weigh(views, quorum=quorum), is_told=False)


def _one_more_is_needed(views: Sequence[View], *, quorum: int) -> Ballot:
    ballot = weigh(views, quorum=quorum)
    return replace(ballot, needed=ballot.needed + 1)


_WEIGH = "argos.server.services.votes.weigh"
BUGS = [
    Bug(
        "the fence is dropped",
        "I-1",
        replace=("argos.server.services.ingest.moves_state", _no_fence),
    ),
    Bug(
        "a run counts as often as it is reported",
        "I-11",
        trigger=Trigger(
            "UPDATE OF applied_lease_no ON tasks",
            "new.applied_lease_no > 0",
            "UPDATE tasks SET applied_lease_no = 0 WHERE id = new.id;",
        ),
    ),
    Bug(
        "what has no row is not known when it is repeated",
        "I-11",
        replace=("argos.server.services.keeping.Keeping.knows", _knows_nothing),
    ),
    Bug(
        "the failure count is never reset",
        "I-23",
        trigger=Trigger(
            "UPDATE OF contiguous_failures ON tasks",
            "new.contiguous_failures < old.contiguous_failures",
            "UPDATE tasks SET contiguous_failures = old.contiguous_failures WHERE id = new.id;",
        ),
    ),
    Bug(
        "it is forgotten what was told",
        "I-20",
        trigger=Trigger(
            "UPDATE OF told_severity ON tasks",
            "new.told_severity <> 'ok'",
            "UPDATE tasks SET told_severity = 'ok' WHERE id = new.id;",
        ),
        is_for_postgresql=True,
    ),
    Bug(
        "a delivery stays with a server that died",
        "I-24",
        trigger=Trigger(
            "UPDATE OF due_at ON deliveries",
            "{outermost} AND new.claimed_by IS NOT NULL",
            "UPDATE deliveries SET due_at = due_at + {ten_days} WHERE id = new.id;",
        ),
    ),
    Bug(
        "housework stays with a server that died",
        "I-29",
        trigger=Trigger(
            "UPDATE OF term ON duties",
            "true",
            "UPDATE duties SET due_at = due_at + {ten_days} WHERE name = new.name;",
        ),
    ),
    Bug(
        "results are answered 201 and not kept",
        "I-10",
        trigger=Trigger(
            "INSERT ON results",
            "new.id % 5 = 0",
            "DELETE FROM results WHERE id = new.id;",
        ),
        is_for_postgresql=True,
    ),
    Bug(
        "one location is enough",
        "I-32",
        replace=(_WEIGH, _one_is_enough),
        is_of_places=True,
    ),
    Bug(
        "each location tells what it sees",
        "I-22",
        replace=(_WEIGH, _nobody_told),
        is_of_places=True,
    ),
    Bug(
        "one location more than the quorum is asked for",
        "I-32",
        replace=(_WEIGH, _one_more_is_needed),
        is_of_places=True,
    ),
]
