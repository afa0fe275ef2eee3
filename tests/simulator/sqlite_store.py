"""A SQLite that fails where it is told to."""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from argos.server.database import Database
from argos.server.migrations.runner import migrate
from tests.simulator.diary import Trigger, triggers
from tests.simulator.disk import Disk, Fault
from tests.simulator.engines import Engines


class SQLiteStore:
    """A file with the schema, and the diary's triggers."""

    is_sqlite = True

    def __init__(self, folder: Path) -> None:
        self._path = folder / "argos.db"
        self._path.write_bytes(_schema())

    def add_trigger(self, trigger: Trigger) -> None:
        """Let the database itself do something more, at each change."""
        _run_script(self._path, trigger.script("bug", is_sqlite=True))

    def look(self) -> sqlite3.Connection:
        """A connection past all faults."""
        return sqlite3.connect(self._path, isolation_level=None)

    def open(self, disk: Disk) -> Database:
        """The product's own database object, on the disk of a process."""
        return _ENGINES.open("sqlite:////simulated.db", self._path, disk)

    def close(self, database: Database, disk: Disk) -> None:
        """Close all connections; it will serve another process, compiled as it is."""
        _ENGINES.close(database)
        for connection in disk.connections:
            sqlite3.Connection.close(connection)

    def delete(self) -> None:
        """It goes with its folder."""


@cache
def _schema() -> bytes:
    """A migrated SQLite file."""
    with TemporaryDirectory() as name:
        path = Path(name) / "argos.db"
        database = Database(f"sqlite:///{path}")
        migrate(database)
        database.close()
        _run_script(path, triggers(is_sqlite=True))
        return path.read_bytes()


def _run_script(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.executescript(script)


class _Connection(sqlite3.Connection):
    disk: Disk | None = None

    def cursor(self, *_: Any, **__: Any) -> Any:
        return super().cursor(_Cursor)

    def commit(self) -> None:
        disk = self.disk
        if disk is None or not self.in_transaction:
            super().commit()
            return
        _raise(disk.before_commit())
        super().commit()
        _raise(disk.after_commit())


class _Cursor(sqlite3.Cursor):
    def execute(self, statement: str, *parameters: Any) -> "_Cursor":
        disk: Disk | None = self.connection.disk  # type: ignore[attr-defined]  # one of ours
        if disk is not None:
            _raise(disk.before_statement(begins=statement.startswith("BEGIN")))
        return super().execute(statement, *parameters)


def _raise(fault: Fault | None) -> None:
    if fault is None:
        return
    error = sqlite3.OperationalError(f"made up: {fault}")
    is_busy = fault is Fault.BUSY
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY if is_busy else sqlite3.SQLITE_IOERR
    raise error


def _connect(
    path: Path | None, disk: Disk | None, _: list[Any], options: dict[str, Any]
) -> _Connection:
    connection = _Connection(":memory:" if path is None else path, **options)
    connection.disk = disk
    if disk is not None:
        disk.connections.append(connection)
        connection.create_function("sim_now", 0, disk.true_seconds)
    return connection


def _forgo_sync(connection: Any, _entry: object) -> None:
    # What is tested is what we do with the disk, not the disk itself.
    sqlite3.Connection.execute(connection, "PRAGMA synchronous=OFF")


_ENGINES = Engines(_connect, _forgo_sync)
