"""Faults between two statements, as SQLite and PostgreSQL have them: one at a time.

On PostgreSQL the connection is really ended, by the server. What SQLite cannot be made to
do on demand is raised in its place, below all of our code.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import psycopg

from argos.server.database import Database


class Kind(StrEnum):
    """What happens."""

    BUSY = "busy"
    """Somebody else holds what the statement wants."""
    BROKEN = "broken"
    """The disk fails, or the connection breaks, before the statement."""
    LOST_COMMIT = "lost commit"
    """It breaks at the commit, which does not take place."""
    UNHEARD_COMMIT = "unheard commit"
    """It breaks right after the commit, whose answer is lost."""


AT_STATEMENTS = (Kind.BUSY, Kind.BROKEN)


class Interrupter:
    """Stands between SQLAlchemy and the driver of one database."""

    def __init__(self, database: Database, server: psycopg.Connection | None) -> None:
        self._is_sqlite = database.is_sqlite
        self._server = server
        self._kind: Kind | None = None
        self._left = 0
        self.statements = self.commits = 0
        """How many there were since the last fault was planned."""
        self._commit = database.engine.dialect.do_commit
        for engine in database.engines:
            dialect: Any = engine.dialect
            for name in ("do_execute", "do_executemany", "do_execute_no_params"):
                setattr(dialect, name, self._before(getattr(dialect, name)))
            dialect.do_commit = self._do_commit

    @contextmanager
    def at(self, kind: Kind | None, place: int = 1) -> Iterator[None]:
        """Let the fault happen at the n-th statement, or commit, from now on."""
        self.statements = self.commits = 0
        self._kind, self._left = kind, place
        try:
            yield
        finally:
            self._kind = None

    def _is_now(self, kinds: tuple[Kind, ...]) -> bool:
        if self._kind not in kinds:
            return False
        self._left -= 1
        return self._left == 0

    def _before(self, run: Any) -> Any:
        def execute(cursor: Any, *rest: Any) -> Any:
            self.statements += 1
            if self._is_now(AT_STATEMENTS):
                self._break(cursor.connection)
            return run(cursor, *rest)

        return execute

    def _do_commit(self, connection: Any) -> None:
        self.commits += 1
        is_now = self._is_now((Kind.LOST_COMMIT, Kind.UNHEARD_COMMIT))
        if is_now and self._kind is Kind.LOST_COMMIT:
            self._break(connection)
        self._commit(connection)
        if is_now:
            self._break(connection)

    def _break(self, connection: Any) -> None:
        if self._is_sqlite:
            busy = self._kind is Kind.BUSY
            error = sqlite3.OperationalError("made up")
            error.sqlite_errorcode = (
                sqlite3.SQLITE_BUSY if busy else sqlite3.SQLITE_IOERR
            )
            raise error
        if self._kind is Kind.BUSY:
            raise psycopg.errors.LockNotAvailable("made up")
        assert self._server is not None
        driver = getattr(connection, "driver_connection", connection)
        pid = driver.info.backend_pid
        # It returns when the process is gone, with all that it had not committed.
        self._server.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        if self._kind is not Kind.BROKEN:
            raise psycopg.OperationalError("server closed the connection unexpectedly")
