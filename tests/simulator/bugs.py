"""Bugs to be planted in the product, each of which the checker must find.

Some are triggers that spoil what the product writes, some change a statement on its
way to the database, and some replace one of its functions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from argos.agent.spool import SpooledCopy
from tests.simulator.virtual_time import START


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug, and the promises that it breaks."""

    name: str
    breaks: str
    """What at least one of the violations begins with."""
    trigger: str = ""
    rewrite: tuple[str, str] | None = None
    """A part of a statement, and what stands in its place."""
    replace: tuple[str, Callable[..., Any]] | None = None
    """The dotted name of a function, and the wrong one."""


def _no_fence(_result: Any, task: Any, schedule: Any, **_: Any) -> bool:
    return task.archived_at is None and schedule is not None


def _nothing_to_do(_work: Any) -> None:
    pass


def _write_nothing(spool: Any, payloads: Any, *, now: datetime) -> SpooledCopy:
    del now
    return SpooledCopy(spool._open_segment(), 0, 0, len(payloads))


def _local_time(clock: Any) -> datetime:
    moment: datetime = START + timedelta(seconds=clock._loop.time()) + clock.offset
    return moment + (moment.astimezone().utcoffset() or timedelta())


BUGS = [
    Bug(
        "the fence is dropped",
        "I-1",
        replace=("argos.server.services.ingest._moves_state", _no_fence),
    ),
    Bug(
        "a run counts as often as it is reported",
        "I-11",
        trigger="""CREATE TRIGGER bug AFTER UPDATE OF applied_lease_no ON tasks
        WHEN new.applied_lease_no > 0 BEGIN
        UPDATE tasks SET applied_lease_no = 0 WHERE id = new.id; END""",
    ),
    Bug(
        "a lease does not keep others away",
        "I-02",
        trigger="""CREATE TRIGGER bug AFTER UPDATE OF lease_no ON schedule BEGIN
        UPDATE schedule SET due_at = new.leased_at + 20000000 WHERE id = new.id; END""",
    ),
    Bug(
        "groups are handed out before they are due",
        "I-01",
        rewrite=("AND due_at <= ?", "AND due_at <= ? + 900000000"),
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
        "one recipient gets no deliveries",
        "I-21",
        trigger="""CREATE TRIGGER bug AFTER INSERT ON deliveries
        WHEN new.recipient <> 'local' BEGIN
        DELETE FROM deliveries WHERE id = new.id; END""",
    ),
    Bug(
        "a delivery is marked before it is sent",
        "I-25",
        trigger="""CREATE TRIGGER bug AFTER UPDATE OF claimed_by ON deliveries
        WHEN new.claimed_by IS NOT NULL AND new.state = 'waiting' BEGIN
        UPDATE deliveries SET state = 'sent' WHERE id = new.id; END""",
    ),
    Bug(
        "a delivery stays with a server that died",
        "I-24",
        trigger="""CREATE TRIGGER bug AFTER UPDATE OF claimed_by ON deliveries
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
        "the spool writes nothing",
        "I-12",
        replace=("argos.agent.spool.Spool.append", _write_nothing),
    ),
    Bug(
        "a reload takes away half of what it should",
        "I-50",
        trigger="""CREATE TRIGGER bug AFTER UPDATE OF archived_at ON tasks
        WHEN new.archived_at IS NOT NULL AND new.id % 2 = 0 BEGIN
        UPDATE tasks SET archived_at = NULL WHERE id = new.id; END""",
    ),
    Bug(
        "the server lives in local time",
        "I-01",
        replace=("tests.simulator.virtual_time.VirtualClock.utcnow", _local_time),
    ),
    Bug(
        "nobody mends what a wrong clock has put off",
        "I-03",
        replace=("argos.server.services.duties.mend_queue", _nothing_to_do),
    ),
]
