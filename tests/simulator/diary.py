"""What the database says of a simulation: triggers note each change that was committed.

The services cannot hide anything from it, and it needs to know nothing of them.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from argos.core import rollup
from argos.core.incident import EventKind
from argos.core.severity import Severity
from argos.server.columns import from_epoch_us, to_epoch_us
from tests.simulator.history import (
    Attempt,
    Due,
    Lease,
    LeaseEnd,
    Move,
    StoredDelivery,
    StoredEvent,
    StoredResult,
    StoredTask,
)

# An id that is free again may be given to another group.
_GROUP = "(SELECT count(*) FROM sim_groups g WHERE g.id = {id}) * 1000000 + {id}"
_NEW_GROUP = _GROUP.format(id="new.id")
_TASK_GROUP = _GROUP.format(id="new.group_id")
TRIGGERS = f"""
CREATE TABLE sim_groups (id);
CREATE TABLE sim_dues (true_s, group_id, due_at);
CREATE TRIGGER sim_group AFTER INSERT ON schedule BEGIN
  INSERT INTO sim_groups VALUES (new.id);
  INSERT INTO sim_dues VALUES (sim_now(), {_NEW_GROUP}, new.due_at);
END;
CREATE TRIGGER sim_due AFTER UPDATE OF due_at ON schedule WHEN new.location IS NOT NULL
BEGIN
  INSERT INTO sim_dues VALUES (sim_now(), {_NEW_GROUP}, new.due_at);
END;
CREATE TABLE sim_leases (true_s, group_id, lease_no, agent, leased_at, until, planned);
CREATE TRIGGER sim_lease AFTER UPDATE OF lease_no ON schedule
WHEN new.lease_no = old.lease_no + 1 BEGIN
  INSERT INTO sim_leases VALUES (sim_now(), {_NEW_GROUP}, new.lease_no, new.leased_by,
    new.leased_at, new.due_at, new.next_run);
END;
CREATE TABLE sim_ends (true_s, group_id, lease_no);
CREATE TRIGGER sim_end AFTER UPDATE OF leased_at ON schedule
WHEN old.leased_at IS NOT NULL AND new.leased_at IS NULL BEGIN
  INSERT INTO sim_ends VALUES (sim_now(), {_NEW_GROUP}, new.lease_no);
END;
CREATE TABLE sim_moves
  (true_s, task_id, group_id, lease_no, severity, completed_at, failures);
CREATE TRIGGER sim_move AFTER UPDATE ON tasks
WHEN (new.applied_lease_no <> old.applied_lease_no AND new.applied_lease_no > 0)
OR (new.completed_at IS NOT old.completed_at AND new.last_status <> 'error') BEGIN
  INSERT INTO sim_moves VALUES (sim_now(), new.id, {_TASK_GROUP},
    new.applied_lease_no, new.severity, new.completed_at, new.contiguous_failures);
END;
CREATE TABLE sim_archivals (task_id, event_count);
CREATE TRIGGER sim_archival AFTER UPDATE OF archived_at ON tasks
WHEN old.archived_at IS NULL AND new.archived_at IS NOT NULL BEGIN
  INSERT INTO sim_archivals VALUES (new.id, new.event_count);
END;
CREATE TABLE sim_attempts (true_s, delivery_id, claimed_by, attempts, state);
CREATE TRIGGER sim_attempt AFTER UPDATE ON deliveries BEGIN
  INSERT INTO sim_attempts VALUES (sim_now(), new.id, new.claimed_by, new.attempts,
    new.state);
END;
"""


def add_triggers(path: Path, script: str) -> None:
    """Let the database itself do something more, at each change."""
    with _connect(path) as connection:
        connection.executescript(script)


@contextmanager
def _connect(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    try:
        yield connection
    finally:
        connection.close()


class Diary:
    """Looks into the database's file, past all that fails."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)

    def close(self) -> None:
        self._connection.close()

    def next_due_us(self, location: str | None = None) -> int | None:
        """When a task group is due next, that is for anybody or for one place."""
        query = "SELECT min(due_at) FROM schedule WHERE location IS NULL"
        if location is not None:
            query = f"SELECT min(due_at) FROM schedule WHERE location = '{location}'"
        due: int | None = self._one(query)
        return due

    def idle_duties(self, since: datetime) -> list[str]:
        """Housework that was not done since some moment."""
        rows = self._connection.execute(
            "SELECT name FROM duties WHERE finished_at IS NULL OR finished_at < ?",
            [to_epoch_us(since)],
        )
        return [name for (name,) in rows]

    def has_deliveries(self) -> bool:
        """Whether something waits to be sent."""
        query = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE state = 'waiting')"
        return bool(self._one(query))

    def active_tasks(self) -> frozenset[tuple[str, str, str, float]]:
        """What of the config is in force, as the tasks say."""
        rows = self._connection.execute(
            'SELECT url, "check", expected, frequency FROM tasks'
            " WHERE archived_at IS NULL"
        )
        return frozenset(rows)

    def _one(self, query: str) -> int | None:
        row: tuple[int | None] = self._connection.execute(query).fetchone()
        return row[0]

    def leases(self) -> list[Lease]:
        rows = self._connection.execute("SELECT * FROM sim_leases ORDER BY rowid")
        return [
            Lease(
                true_s,
                group_id,
                lease_no,
                agent,
                from_epoch_us(leased_at),
                from_epoch_us(until),
                None if planned is None else from_epoch_us(planned),
            )
            for true_s, group_id, lease_no, agent, leased_at, until, planned in rows
        ]

    def lease_ends(self) -> list[LeaseEnd]:
        rows = self._connection.execute("SELECT * FROM sim_ends ORDER BY rowid")
        return [LeaseEnd(*row) for row in rows]

    def moves(self) -> list[Move]:
        rows = self._connection.execute("SELECT * FROM sim_moves ORDER BY rowid")
        return [
            Move(
                true_s,
                task_id,
                group_id,
                lease_no,
                Severity(severity),
                from_epoch_us(moment),
                failures,
            )
            for true_s, task_id, group_id, lease_no, severity, moment, failures in rows
        ]

    def dues(self) -> list[Due]:
        rows = self._connection.execute("SELECT * FROM sim_dues ORDER BY rowid")
        return [
            Due(true_s, group_id, from_epoch_us(at)) for true_s, group_id, at in rows
        ]

    def archivals(self) -> set[tuple[int, int]]:
        return set(self._connection.execute("SELECT * FROM sim_archivals"))

    def attempts(self) -> list[Attempt]:
        rows = self._connection.execute("SELECT * FROM sim_attempts ORDER BY rowid")
        return [Attempt(*row) for row in rows]

    def results(self) -> list[StoredResult]:
        rows = self._connection.execute(
            "SELECT id, task_id, agent_id, submitted_at, severity, is_late FROM results"
        )
        return [
            StoredResult(
                id_,
                task_id,
                agent,
                from_epoch_us(moment),
                Severity(severity),
                bool(is_late),
            )
            for id_, task_id, agent, moment, severity, is_late in rows
        ]

    def counted(self) -> Counter[int]:
        """How many results of each task the rollups count."""
        days = "SELECT task_id, sum(ok + warning + critical + unknown + maintenance)"
        found = Counter(
            dict(self._connection.execute(f"{days} FROM task_days GROUP BY 1"))
        )
        for task_id, tally in self._connection.execute(
            "SELECT id, open_counts FROM tasks WHERE open_counts IS NOT NULL"
        ):
            found[task_id] += sum(rollup.unpack(tally).values())
        return found

    def left_out(self) -> Counter[int]:
        """How many results of each task have no row."""
        rows = self._connection.execute(
            "SELECT task_id, sum(n) FROM (SELECT task_id, left_out AS n FROM results"
            " UNION ALL SELECT id, left_out FROM tasks) WHERE n > 0 GROUP BY 1"
        )
        return Counter(dict(rows))

    def events(self) -> list[StoredEvent]:
        rows = self._connection.execute(
            "SELECT e.id, e.task_id, e.seq, e.kind, e.at, e.severity, e.incident_id,"
            " i.parent_id FROM events e JOIN incidents i ON i.id = e.incident_id"
            " ORDER BY e.task_id, e.seq"
        )
        return [
            StoredEvent(
                id_,
                task_id,
                seq,
                EventKind(kind),
                from_epoch_us(moment),
                Severity(severity),
                incident_id,
                parent_id,
            )
            for id_, task_id, seq, kind, moment, severity, incident_id, parent_id in rows
        ]

    def deliveries(self) -> list[StoredDelivery]:
        rows = self._connection.execute(
            "SELECT id, event_id, recipient, state, attempts,"
            " coalesce(batch_id, message_id), created_at"
            " FROM deliveries"
            " ORDER BY id"
        )
        return [
            StoredDelivery._make((*row, from_epoch_us(created_at)))
            for *row, created_at in rows
        ]

    def tasks(self) -> list[StoredTask]:
        rows = self._connection.execute(
            "SELECT id, group_id, url, severity, told_severity, completed_at,"
            " retry_before_notification, event_count, archived_at IS NOT NULL,"
            f" location, quorum, hex(watch_key), {_GROUP.format(id='group_id')}"
            " FROM tasks"
        )
        return [
            StoredTask(
                id_,
                group_id,
                url,
                Severity(severity),
                Severity(told),
                None if completed_at is None else from_epoch_us(completed_at),
                retries,
                event_count,
                bool(is_archived),
                location,
                quorum,
                watch or None,
            )
            for (
                id_,
                _,
                url,
                severity,
                told,
                completed_at,
                retries,
                event_count,
                is_archived,
                location,
                quorum,
                watch,
                group_id,
            ) in rows
        ]
