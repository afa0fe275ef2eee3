"""In a mass outage a report costs as much as any, however many failed before."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text

from argos.core.cause import Cause
from argos.core.incident import EventKind
from argos.core.severity import Severity, Status
from argos.server.models import Delivery, DeliveryState, Event, Incident, Task
from tests.server.services.gathering_world import AT_ONE_ADDRESS, World

FIRST = ["a", "b", "c", "d"]
NEXT = ["e", "f", "g", "h"]
CROWD = 3_000
STEPS = 10
"""Of SQLite's machine, between two looks."""
GROWING = ("tasks", "incidents", "events", "deliveries")


class Meter:
    """How much work the database does: rows that it reads, or steps of its machine."""

    def __init__(self, database: Any) -> None:
        self._database = database
        self.work = 0
        self.statements = 0
        for engine in database.engines:
            event.listen(engine, "before_cursor_execute", self._count)
            if database.is_sqlite:
                event.listen(engine, "checkout", self._watch)
            else:
                # What is counted of earlier transactions may not have been added up yet.
                event.listen(engine, "begin", partial(self._read, sign=-1))
                event.listen(engine, "commit", partial(self._read, sign=1))

    def _count(self, *_: Any) -> None:
        self.statements += 1

    def _watch(self, connection: Any, *_: Any) -> None:
        connection.set_progress_handler(self._step, STEPS)

    def _step(self) -> None:
        self.work += 1

    def _read(self, connection: Any, *, sign: int) -> None:
        cursor = connection.connection.cursor()
        cursor.execute(
            "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))"
            " FROM pg_stat_xact_user_tables"
        )
        self.work += sign * int(cursor.fetchone()[0] or 0)

    @contextmanager
    def reading(self) -> Iterator[dict[str, int]]:
        """What is spent within, once it is over."""
        spent: dict[str, int] = {}
        work, statements = self.work, self.statements
        yield spent
        spent["work"] = self.work - work
        spent["statements"] = self.statements - statements


@pytest.fixture
def world(database, config, clock) -> World:
    if not database.is_sqlite:
        # Tables as small as these are read as a whole, if that is not forbidden.
        @event.listens_for(database.engine, "begin")
        def forbid(connection: Any) -> None:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")

        # It would look at them between our own looks.
        with database.outside() as connection:
            for name in GROWING:
                off = f"ALTER TABLE {name} SET (autovacuum_enabled = off)"
                connection.exec_driver_sql(off)
    world = World(database, config, clock)
    world.add(*FIRST, *NEXT)
    world.run(dict.fromkeys([*FIRST, *NEXT]))
    world.clock.move(seconds=60)
    return world


def add_crowd(world: World, *, are_over: bool) -> None:
    """Very many more under the only leader, told of, or held until later."""
    now = world.clock.now
    with world.database.transaction() as session:
        leader = session.scalars(
            select(Incident).where(Incident.parent_id.is_(None))
        ).one()
        # Beyond those of the few.
        ids = range(10_000, 10_000 + CROWD)
        site: dict[str, Any] = {
            "url": "https://x/",
            "domain": "https://x/",
            "check": "status-is",
        }
        site |= {"expected": "200", "frequency": 5.0, "task_group": "x"}
        session.execute(
            insert(Task), [{**site, "id": i, "key": i.to_bytes(16)} for i in ids]
        )
        incident = {
            "opened_at": leader.opened_at,
            "closed_at": now if are_over else None,
            "severity": Severity.CRITICAL,
            "parent_id": leader.id,
            "cause": Cause.ADDRESS,
            "address": leader.address,
        }
        session.execute(
            insert(Incident), [{**incident, "id": i, "task_id": i} for i in ids]
        )
        kind = EventKind.CLOSED if are_over else EventKind.OPENED
        of_it = {"seq": 1, "kind": kind, "at": now, "reason": "recovered"}
        of_it |= {"severity": Severity.OK, "previous_severity": Severity.CRITICAL}
        of_it |= {"status": Status.SUCCESS, "facts": {}}
        session.execute(
            insert(Event),
            [{**of_it, "id": i, "task_id": i, "incident_id": i} for i in ids],
        )
        delivery = {"recipient": "local", "state": DeliveryState.WAITING}
        delivery |= {"created_at": now, "due_at": now + timedelta(minutes=5)}
        session.execute(
            insert(Delivery),
            [{**delivery, "event_id": i, "message_id": str(i)} for i in ids],
        )
    analyze(world.database)


def analyze(database: Any) -> None:
    """As the database itself does after a while."""
    with database.outside() as connection:
        connection.execute(text("ANALYZE"))


@pytest.mark.parametrize("are_over", [False, True])
def test_a_failure_costs_no_more_after_very_many(world, are_over):
    meter = Meter(world.database)
    world.run({"a": AT_ONE_ADDRESS})
    analyze(world.database)
    with meter.reading() as before:
        world.run(dict.fromkeys(["b", "c", "d"], AT_ONE_ADDRESS))
    add_crowd(world, are_over=are_over)

    with meter.reading() as after:
        world.run(dict.fromkeys(["e", "f", "g"], AT_ONE_ADDRESS))

    assert 0 < after["work"] < before["work"] + CROWD / 4
    assert after["statements"] == before["statements"]
    assert [parent for parent, _ in world.gathered].count(None) == 1


@pytest.mark.parametrize("are_over", [False, True])
def test_a_recovery_costs_no_more_beside_very_many(world, are_over):
    meter = Meter(world.database)
    world.run(dict.fromkeys([*FIRST, *NEXT], AT_ONE_ADDRESS))
    world.clock.move(seconds=30)
    analyze(world.database)
    with meter.reading() as before:
        world.run(dict.fromkeys(["b", "c", "d"]))
    add_crowd(world, are_over=are_over)

    with meter.reading() as after:
        world.run(dict.fromkeys(["e", "f", "g"]))

    assert 0 < after["work"] < before["work"] + CROWD / 4
    assert after["statements"] == before["statements"]
