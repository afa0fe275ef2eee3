"""Rows that one statement writes, on both databases."""

from datetime import timedelta

from sqlalchemy import select

from argos.core.severity import Severity, Status
from argos.server.models import ConfigCache, Task
from argos.server.queries.bulk import RowSource
from tests.server.factories import add_group, task_ids

MOVES = RowSource({
    "id": "bigint",
    "severity": "severity",
    "last_status": "status",
    "completed_at": "timestamptz",
    "is_flapping": "boolean",
    "seen_by": "text",
    "open_counts": "bytea",
})
MOVE = """
UPDATE tasks SET seen_by = u.seen_by, severity = u.severity,
  last_status = u.last_status, is_flapping = u.is_flapping,
  completed_at = u.completed_at, last_severity_update = u.completed_at,
  open_counts = u.open_counts
FROM {rows} WHERE tasks.id = u.id
"""
CACHE = RowSource({"name": "text", "val": "text", "updated_at": "timestamptz"})
ADD = """
INSERT INTO config_cache (name, updated_at, val)
SELECT name, updated_at, val FROM {rows} WHERE true
ON CONFLICT (name) DO NOTHING
"""


def test_each_row_moves_its_own_task_by_its_own_values(database, now):
    later = now + timedelta(microseconds=1)
    with database.transaction() as session:
        group = add_group(session, "a", due_at=now, checks=("status-is", "status-in"))
        first, second = task_ids(session, group.id)
        rows = [
            (second, Severity.OK, Status.SUCCESS, later, True, None, b"\0\xff"),
            (first, Severity.CRITICAL, None, None, False, "ann", None),
            (0, Severity.OK, Status.ERROR, now, True, "nobody", b""),
        ]

        written = MOVES.write(session, MOVE, rows)

    columns = [getattr(Task, name) for name in MOVES.columns]
    with database.reading() as session:
        found = session.execute(
            select(*columns, Task.last_severity_update).order_by(Task.id)
        )
        assert [tuple(row) for row in found] == [
            (first, Severity.CRITICAL, None, None, False, "ann", None, None),
            (second, *rows[0][1:], later),
        ]
    assert written == 2


def test_rows_are_added_in_the_order_of_the_columns_that_the_statement_names(
    database, now
):
    with database.transaction() as session:
        written = CACHE.write(session, ADD, [("x", "1", now), ("y", "2", now)])
        again = CACHE.write(session, ADD, [("x", "3", now), ("z", "4", now)])

    with database.reading() as session:
        found = session.execute(
            select(ConfigCache.name, ConfigCache.val, ConfigCache.updated_at)
            .where(ConfigCache.name.in_(["x", "y", "z"]))
            .order_by(ConfigCache.name)
        )
        assert [tuple(row) for row in found] == [
            ("x", "1", now), ("y", "2", now), ("z", "4", now),
        ]  # fmt: skip
    assert (written, again) == (2, 1)
