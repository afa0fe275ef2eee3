"""A SQLite that fails at statement boundaries, and keeps a diary of what it committed."""

import random
import sqlite3
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import event

from argos.server.database import Database


class ProcessDied(BaseException):
    """The process is gone, as by `kill -9`: whatever runs in it ends here."""


@dataclass
class DiskFaults:
    """How likely each fault is, per statement or commit; all zero: a disk to trust."""

    busy: float = 0.0
    """Somebody else holds the database, when a transaction begins."""
    broken: float = 0.0
    """A statement fails in the middle of a transaction."""
    lost_commit: float = 0.0
    """The commit fails: nothing was done."""
    unheard_commit: float = 0.0
    """The commit succeeds, and its caller is told that it failed."""
    death: float = 0.0
    """The process dies, before a statement or right after a commit."""

    def calm_down(self) -> None:
        """No more faults."""
        self.busy = self.broken = self.lost_commit = self.unheard_commit = 0.0
        self.death = 0.0


@dataclass
class Disk:
    """What one process has of the database's file."""

    path: Path
    faults: DiskFaults
    rng: random.Random
    true_seconds: Callable[[], float]
    is_dead: bool = False
    before_begin: Callable[[], None] = field(default=lambda: None)
    """Called where a thread of the process may be held up."""
    connections: list[sqlite3.Connection] = field(default_factory=list)

    def open(self) -> Database:
        """The product's own database object, on this disk."""
        database = _IDLE.pop() if _IDLE else _make_database()
        for engine in database.engines:
            _DISKS[engine.dialect] = self
        return database

    def close(self, database: Database) -> None:
        """Close its connections; it will serve another process, compiled as it is.

        Also those that a dead call still holds, which the garbage collector may find
        late: with a process go its locks.
        """
        database.close()
        for connection in self.connections:
            sqlite3.Connection.close(connection)
        self.connections.clear()
        _IDLE.append(database)

    def hit(self, chance: float) -> bool:
        """Whether a fault of this chance happens now."""
        return chance > 0 and self.rng.random() < chance

    def die(self) -> None:
        """From now on, whatever the process tries ends it."""
        self.is_dead = True
        raise ProcessDied

    def check_alive(self) -> None:
        """Nothing happens in a process that is dead."""
        if self.is_dead:
            raise ProcessDied


class _Connection(sqlite3.Connection):
    disk: Disk | None = None

    def cursor(self, *_: Any, **__: Any) -> Any:
        return super().cursor(_Cursor)

    def commit(self) -> None:
        disk = self.disk
        if disk is None or not self.in_transaction:
            super().commit()
            return
        disk.check_alive()
        if disk.hit(disk.faults.lost_commit):
            raise _error("disk I/O error", sqlite3.SQLITE_IOERR)
        super().commit()
        if disk.hit(disk.faults.death):
            disk.die()
        if disk.hit(disk.faults.unheard_commit):
            raise _error("the connection was lost at the commit", sqlite3.SQLITE_IOERR)


class _Cursor(sqlite3.Cursor):
    def execute(self, statement: str, *parameters: Any) -> "_Cursor":
        disk = self.connection.disk  # type: ignore[attr-defined]  # one of ours
        if disk is not None:
            disk.check_alive()
            self._meet_fate(disk, statement)
        return super().execute(statement, *parameters)

    def _meet_fate(self, disk: Disk, statement: str) -> None:
        if statement.startswith("BEGIN"):
            disk.before_begin()
            disk.check_alive()
            if disk.hit(disk.faults.busy):
                raise _error("database is locked", sqlite3.SQLITE_BUSY)
        if disk.hit(disk.faults.death):
            disk.die()
        if disk.hit(disk.faults.broken):
            raise _error("disk I/O error", sqlite3.SQLITE_IOERR)


def _error(text: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


_IDLE: list[Database] = []
_DISKS: dict[Any, Disk] = {}


def _make_database() -> Database:
    # Which file it is, `_use_our_connections` decides.
    database = Database("sqlite:////simulated.db")
    # Nobody runs beside us; a thread that is held up must not hold up all others.
    database._write_turn = nullcontext()
    for engine in database.engines:
        event.listen(engine, "do_connect", _use_our_connections)
        # Afterwards, as the product's own pragmas come first. What is tested is what we
        # do with the disk, not the disk itself.
        event.listen(engine, "connect", _forgo_sync)
        # An engine's first connection asks what SQLite can do. It must meet no fate, or
        # the first simulation of a process would go another way than all later ones.
        engine.connect().close()
        engine.dispose()
    return database


def _use_our_connections(
    dialect: Any, _record: Any, arguments: list[Any], parameters: dict[str, Any]
) -> None:
    disk = _DISKS.get(dialect)
    if disk is None:
        arguments[:] = [":memory:"]
        parameters["factory"] = _Connection
        return

    def connect(*args: Any, **options: Any) -> _Connection:
        connection = _Connection(*args, **options)
        connection.disk = disk
        disk.connections.append(connection)
        connection.create_function("sim_now", 0, disk.true_seconds)
        return connection

    arguments[:] = [str(disk.path)]
    parameters["factory"] = connect


def _forgo_sync(connection: Any, _entry: object) -> None:
    sqlite3.Connection.execute(connection, "PRAGMA synchronous=OFF")


class Holdup:
    """Runs a call in a thread that can be held up wherever a transaction begins.

    One thread runs at a time, ours or the call's: the simulation stays deterministic.
    """

    def __init__(self, call: Callable[[], Any], *, transactions: int) -> None:
        """It is held up before the n-th of its transactions."""
        self._call = call
        self._left = transactions
        self._ours = threading.Semaphore(0)
        self._theirs = threading.Semaphore(0)
        self._outcome: Any = None
        self._error: BaseException | None = None
        self.is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def advance(self) -> bool:
        """Let it run until it is held up, or over; whether it is over."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._theirs.release()
        self._ours.acquire()
        return self.is_over

    def result(self) -> Any:
        """What the call returned; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._outcome

    def before_begin(self) -> None:
        """To be called by the disk; holds up our own thread only."""
        if threading.current_thread() is not self._thread:
            return
        self._left -= 1
        if self._left == 0:
            self._ours.release()
            self._theirs.acquire()

    def _run(self) -> None:
        try:
            self._outcome = self._call()
        except BaseException as err:  # noqa: BLE001  # handed over by `result`
            self._error = err
        self.is_over = True
        self._ours.release()
