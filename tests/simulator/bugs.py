"""Bugs to be planted in the product, each of which the checker must find.

Most are triggers that spoil what the product writes; one replaces a function.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from argos.core.quorum import Ballot, View, weigh


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug, and the promises that it breaks."""

    name: str
    breaks: str
    """What at least one of the violations begins with."""
    trigger: str = ""
    replace: tuple[str, Callable[..., Any]] | None = None
    """The dotted name of a function, and the wrong one."""
    is_of_places: bool = False
    """It shows where websites are watched from several places."""


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
        trigger="""CREATE TRIGGER bug AFTER UPDATE OF applied_lease_no ON tasks
        WHEN new.applied_lease_no > 0 BEGIN
        UPDATE tasks SET applied_lease_no = 0 WHERE id = new.id; END""",
    ),
    Bug(
        "what has no row is not known when it is repeated",
        "I-11",
        replace=("argos.server.services.keeping.Keeping.knows", _knows_nothing),
    ),
    Bug(
        "the failure count is never reset",
        "I-23",
        trigger="""CREATE TRIGGER bug AFTER UPDATE OF contiguous_failures ON tasks
        WHEN new.contiguous_failures < old.contiguous_failures BEGIN UPDATE tasks SET
        contiguous_failures = old.contiguous_failures WHERE id = new.id; END""",
    ),
    Bug(
        "it is forgotten what was told",
        "I-20",
        trigger="""CREATE TRIGGER bug AFTER UPDATE OF told_severity ON tasks
        WHEN new.told_severity <> 'ok' BEGIN
        UPDATE tasks SET told_severity = 'ok' WHERE id = new.id; END""",
    ),
    Bug(
        "a delivery stays with a server that died",
        "I-24",
        trigger="""CREATE TRIGGER bug AFTER UPDATE OF due_at ON deliveries
        WHEN new.claimed_by IS NOT NULL BEGIN UPDATE deliveries
        SET due_at = due_at + 864000000000 WHERE id = new.id; END""",
    ),
    Bug(
        "housework stays with a server that died",
        "I-29",
        trigger="""CREATE TRIGGER bug AFTER UPDATE OF term ON duties BEGIN
        UPDATE duties SET due_at = due_at + 864000000000 WHERE name = new.name; END""",
    ),
    Bug(
        "results are answered 201 and not kept",
        "I-10",
        trigger="""CREATE TRIGGER bug AFTER INSERT ON results WHEN new.id % 5 = 0 BEGIN
        DELETE FROM results WHERE id = new.id; END""",
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
