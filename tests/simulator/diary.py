"""What the database says of a simulation: triggers note each change that was committed.

The services cannot hide anything from it, and it needs to know nothing of them.
"""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, NamedTuple

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


class Trigger(NamedTuple):
    """Something that a database does at each change, in words of both kinds."""

    event: str
    condition: str
    note: str
    """Statements, each with its semicolon."""

    def script(self, name: str, *, is_sqlite: bool) -> str:
        """What makes the trigger."""
        words = _SQLITE if is_sqlite else _POSTGRESQL
        template = _SQLITE_TRIGGER if is_sqlite else _POSTGRESQL_TRIGGER
        return template.format(
            name=name,
            event=self.event,
            condition=self.condition.format(**words),
            note=self.note.format(**words),
        )


# An id that is free again may be given to another group.
_GROUP = "(SELECT count(*) FROM sim_groups g WHERE g.id = {id}) * 1000000 + {id}"
_NEW_GROUP = _GROUP.format(id="new.id")
_TASK_GROUP = _GROUP.format(id="new.group_id")
_TABLES = """
CREATE TABLE sim_groups (id bigint);
CREATE TABLE sim_dues
  (seq {serial} PRIMARY KEY, true_s {seconds}, group_id bigint, due_at {moment});
CREATE TABLE sim_leases (seq {serial} PRIMARY KEY, true_s {seconds}, group_id bigint,
  lease_no int, agent text, leased_at {moment}, until {moment}, planned {moment});
CREATE TABLE sim_ends
  (seq {serial} PRIMARY KEY, true_s {seconds}, group_id bigint, lease_no int);
CREATE TABLE sim_moves (seq {serial} PRIMARY KEY, true_s {seconds}, task_id bigint,
  group_id bigint, lease_no int, severity text, completed_at {moment}, failures int);
CREATE TABLE sim_archivals (task_id bigint, event_count int);
CREATE TABLE sim_attempts (seq {serial} PRIMARY KEY, true_s {seconds},
  delivery_id bigint, claimed_by text, attempts int, state text);
"""
_DUE = f"""INSERT INTO sim_dues (true_s, group_id, due_at)
  VALUES (sim_now(), {_NEW_GROUP}, new.due_at);"""
_TRIGGERS = (
    Trigger(
        "INSERT ON schedule",
        "true",
        f"INSERT INTO sim_groups VALUES (new.id); {_DUE}",
    ),
    Trigger("UPDATE OF due_at ON schedule", "new.location IS NOT NULL", _DUE),
    Trigger(
        "UPDATE OF lease_no ON schedule",
        "new.lease_no = old.lease_no + 1",
        f"""INSERT INTO sim_leases
        (true_s, group_id, lease_no, agent, leased_at, until, planned)
        VALUES (sim_now(), {_NEW_GROUP}, new.lease_no, new.leased_by, new.leased_at,
        new.due_at, new.next_run);""",
    ),
    Trigger(
        "UPDATE OF leased_at ON schedule",
        "old.leased_at IS NOT NULL AND new.leased_at IS NULL",
        f"""INSERT INTO sim_ends (true_s, group_id, lease_no)
        VALUES (sim_now(), {_NEW_GROUP}, new.lease_no);""",
    ),
    Trigger(
        "UPDATE ON tasks",
        """(new.applied_lease_no <> old.applied_lease_no AND new.applied_lease_no > 0)
        OR (new.completed_at {differs} old.completed_at
        AND new.last_status <> 'error')""",
        f"""INSERT INTO sim_moves (true_s, task_id, group_id, lease_no, severity,
        completed_at, failures) VALUES (sim_now(), new.id, {_TASK_GROUP},
        new.applied_lease_no, new.severity, new.completed_at,
        new.contiguous_failures);""",
    ),
    Trigger(
        "UPDATE OF archived_at ON tasks",
        "old.archived_at IS NULL AND new.archived_at IS NOT NULL",
        "INSERT INTO sim_archivals VALUES (new.id, new.event_count);",
    ),
    Trigger(
        "UPDATE ON deliveries",
        "true",
        """INSERT INTO sim_attempts (true_s, delivery_id, claimed_by, attempts, state)
        VALUES (sim_now(), new.id, new.claimed_by, new.attempts, new.state);""",
    ),
)
_SQLITE = {
    "serial": "integer",
    "seconds": "real",
    "moment": "integer",
    "differs": "IS NOT",
    "ten_days": "864000000000",
    "outermost": "true",
}
_POSTGRESQL = {
    "serial": "bigserial",
    "seconds": "double precision",
    "moment": "timestamptz",
    "differs": "IS DISTINCT FROM",
    "ten_days": "interval '10 days'",
    # Where the change that a trigger makes would fire it once more.
    "outermost": "pg_trigger_depth() = 0",
}
_SQLITE_TRIGGER = """
CREATE TRIGGER {name} AFTER {event} WHEN {condition} BEGIN {note} END;
"""
_POSTGRESQL_TRIGGER = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN {note} RETURN NULL; END $$;
CREATE TRIGGER {name} AFTER {event} FOR EACH ROW WHEN ({condition})
EXECUTE FUNCTION {name}();
"""
_POSTGRESQL_NOW = """
CREATE FUNCTION sim_now() RETURNS double precision LANGUAGE sql AS
$$ SELECT current_setting('sim.now')::double precision $$;
"""


def triggers(*, is_sqlite: bool) -> str:
    """What makes a database note each change; `sim_now()` is SQLite's to be given."""
    tables = _TABLES.format(**(_SQLITE if is_sqlite else _POSTGRESQL))
    made = [
        trigger.script(f"sim_{n}", is_sqlite=is_sqlite)
        for n, trigger in enumerate(_TRIGGERS)
    ]
    return ("" if is_sqlite else _POSTGRESQL_NOW) + tables + "".join(made)


class Diary:
    """Looks into the database, past all that fails."""

    def __init__(self, connection: Any) -> None:
        """A driver's connection, in which each statement is a transaction."""
        self._connection = connection

    def close(self) -> None:
        self._connection.close()

    def next_due_us(self, location: str | None = None) -> int | None:
        """When a task group is due next, that is for anybody or for one place."""
        query = "SELECT min(due_at) FROM schedule WHERE location IS NULL"
        if location is not None:
            query = f"SELECT min(due_at) FROM schedule WHERE location = '{location}'"
        due = _moment_or_none(self._one(query))
        return None if due is None else to_epoch_us(due)

    def idle_duties(self, since: datetime) -> list[str]:
        """Housework that was not done since some moment."""
        rows = self._connection.execute("SELECT name, finished_at FROM duties")
        return [
            name
            for name, finished_at in rows
            if finished_at is None or _moment(finished_at) < since
        ]

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

    def _one(self, query: str) -> Any:
        (value,) = self._connection.execute(query).fetchone()
        return value

    def _notes(self, table: str, columns: str) -> Any:
        return self._connection.execute(f"SELECT {columns} FROM {table} ORDER BY seq")

    def leases(self) -> list[Lease]:
        rows = self._notes(
            "sim_leases", "true_s, group_id, lease_no, agent, leased_at, until, planned"
        )
        return [
            Lease(
                true_s,
                group_id,
                lease_no,
                agent,
                _moment(leased_at),
                _moment(until),
                _moment_or_none(planned),
            )
            for true_s, group_id, lease_no, agent, leased_at, until, planned in rows
        ]

    def lease_ends(self) -> list[LeaseEnd]:
        rows = self._notes("sim_ends", "true_s, group_id, lease_no")
        return [LeaseEnd(*row) for row in rows]

    def moves(self) -> list[Move]:
        rows = self._notes(
            "sim_moves",
            "true_s, task_id, group_id, lease_no, severity, completed_at, failures",
        )
        return [
            Move(
                true_s,
                task_id,
                group_id,
                lease_no,
                Severity(severity),
                _moment(moment),
                failures,
            )
            for true_s, task_id, group_id, lease_no, severity, moment, failures in rows
        ]

    def dues(self) -> list[Due]:
        rows = self._notes("sim_dues", "true_s, group_id, due_at")
        return [Due(true_s, group_id, _moment(at)) for true_s, group_id, at in rows]

    def archivals(self) -> set[tuple[int, int]]:
        return set(self._connection.execute("SELECT * FROM sim_archivals"))

    def attempts(self) -> list[Attempt]:
        rows = self._notes(
            "sim_attempts", "true_s, delivery_id, claimed_by, attempts, state"
        )
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
                _moment(moment),
                Severity(severity),
                bool(is_late),
            )
            for id_, task_id, agent, moment, severity, is_late in rows
        ]

    def counted(self) -> Counter[int]:
        """How many results of each task the rollups count."""
        days = (
            "SELECT task_id,"
            " CAST(sum(ok + warning + critical + unknown + maintenance) AS bigint)"
        )
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
            "SELECT task_id, CAST(sum(n) AS bigint) FROM (SELECT task_id, left_out AS n FROM results"
            " UNION ALL SELECT id, left_out FROM tasks) AS both_ WHERE n > 0 GROUP BY 1"
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
                _moment(moment),
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
            StoredDelivery._make((*row, _moment(created_at)))
            for *row, created_at in rows
        ]

    def tasks(self) -> list[StoredTask]:
        rows = self._connection.execute(
            "SELECT id, group_id, url, severity, told_severity, completed_at,"
            " retry_before_notification, event_count, archived_at IS NOT NULL,"
            f" location, quorum, watch_key, {_GROUP.format(id='group_id')}"
            " FROM tasks"
        )
        return [
            StoredTask(
                id_,
                group_id,
                url,
                Severity(severity),
                Severity(told),
                _moment_or_none(completed_at),
                retries,
                event_count,
                bool(is_archived),
                location,
                quorum,
                None if watch is None else watch.hex(),
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


def _moment(stored: Any) -> datetime:
    """As SQLite stores it, or PostgreSQL."""
    if isinstance(stored, datetime):
        return stored.astimezone(UTC)
    return from_epoch_us(stored)


def _moment_or_none(stored: Any) -> datetime | None:
    return None if stored is None else _moment(stored)
