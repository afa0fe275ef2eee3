"""The database: its engine, its transactions, and whether its schema fits.

SQLite and PostgreSQL are served alike. What differs between them stands here, in
`migrations/` and, as one `if`, in `queries/`.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    TimeoutError as PoolTimeout,
)
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from argos.errors import DatabaseError, DatabaseUnreachable

__all__ = ["Database", "Session", "database_url"]

log = logging.getLogger(__name__)

SQLITE_BUSY_TIMEOUT_MS = 10_000
CONNECT_TIMEOUT_S = 5
POOL_TIMEOUT_S = 4
"""How long to wait for a free connection: agents of 0.10.3 hang up after 5 seconds."""

_WAL_ATTEMPTS = 50
_WAL_PAUSE_S = 0.02
_PRAGMAS = (
    # A result that was answered 201 must survive a power cut; costs a tenth.
    "PRAGMA synchronous=FULL",
    f"PRAGMA busy_timeout={SQLITE_BUSY_TIMEOUT_MS}",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-8192",
)
_BULK_CACHE = -131_072
"""128 MiB while a fleet is loaded: its indexes fill in no order."""
_BEGIN = "argos_begin"


def database_url(text: str) -> URL:
    """The URL with the driver that Argos uses; raises DatabaseError on another kind.

    Any PostgreSQL driver of an older config (`postgresql+psycopg2`) means psycopg 3.
    """
    try:
        url = make_url(text)
    except ArgumentError as err:
        raise DatabaseError("general.db.url is not a database URL.") from err
    backend = url.get_backend_name()
    if backend == "sqlite":
        return url.set(drivername="sqlite+pysqlite")
    if backend in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    raise DatabaseError(
        f"Argos serves sqlite and postgresql, not {backend}; change general.db.url."
    )


class Database:
    """One engine, and the two ways to use it: `transaction` and `reading`."""

    def __init__(
        self, url: str | URL, *, pool_size: int = 10, max_overflow: int = 20
    ) -> None:
        self.url = database_url(url) if isinstance(url, str) else url
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = self._make_engine(pool_size, max_overflow)
        self._writing = self.engine.execution_options(**{_BEGIN: "IMMEDIATE"})
        # SQLite has one writer: queueing here is fair, its own busy handler polls.
        self._write_turn: AbstractContextManager[Any] = (
            threading.Lock() if self.is_sqlite else nullcontext()
        )

    def _make_engine(self, pool_size: int, max_overflow: int) -> Engine:
        sizes: dict[str, int] = {"pool_timeout": POOL_TIMEOUT_S}
        if pool_size:
            sizes["pool_size"] = pool_size
        if max_overflow:
            sizes["max_overflow"] = max_overflow
        if self.is_sqlite:
            arguments: dict[str, Any] = {"check_same_thread": False}
            if self.url.database in {None, "", ":memory:"}:
                raise DatabaseError("An in-memory SQLite database keeps nothing.")
            engine = create_engine(self.url, connect_args=arguments, **sizes)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        engine = create_engine(
            self.url,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "options": "-c timezone=UTC"
                " -c idle_in_transaction_session_timeout=60000",
            },
            pool_pre_ping=True,
            **sizes,
        )
        event.listen(engine, "connect", _prepare_postgresql)
        return engine

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that may write: commits at the end, rolls back on an error."""
        with (
            self._translating_errors(),
            self._write_turn,
            Session(self._writing, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads, in one snapshot where the database has them."""
        with (
            self._translating_errors(),
            Session(self.engine, expire_on_commit=False, autoflush=False) as session,
        ):
            yield session

    @contextmanager
    def bulk_transaction(self, prepare: Callable[[Session], None]) -> Iterator[Session]:
        """A transaction with the temporary tables that `prepare` fills.

        SQLite has one writer, which others must not wait for while a million rows are
        prepared: it prepares before the transaction. PostgreSQL prepares inside of it,
        as a pooler may give the next transaction to another of its connections.
        """
        with self._translating_errors(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql(f"PRAGMA cache_size={_BULK_CACHE}")
                connection.rollback()
                with Session(connection) as session, session.begin():
                    prepare(session)
                # Closed at the end, with its tables: not for others to use.
                connection.detach()
                connection.execution_options(**{_BEGIN: "IMMEDIATE"})
            with self._write_turn, Session(connection) as session, session.begin():
                if not self.is_sqlite:
                    prepare(session)
                yield session

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A bare connection in a writing transaction: for migrations and bulk loads."""
        with (
            self._translating_errors(),
            self._write_turn,
            self._writing.begin() as connection,
        ):
            yield connection

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        """Raise DatabaseUnreachable for what may go well at the next attempt."""
        try:
            yield
        except (OperationalError, InterfaceError) as err:
            if getattr(err.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
                raise  # a wrong statement, or no such table
            raise DatabaseUnreachable(
                f"The database {self} does not answer: {_first_line(err)}"
            ) from err
        except PoolTimeout as err:
            raise DatabaseUnreachable(
                f"All connections to the database {self} are in use."
            ) from err

    def check_reachable(self) -> None:
        """Raise DatabaseUnreachable, in one line that holds no password."""
        try:
            with self.engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except (OperationalError, DBAPIError) as err:
            raise DatabaseUnreachable(
                f"Cannot open the database {self}: {_first_line(err)}"
            ) from err

    def warn_if_unsafe(self) -> None:
        """Log a warning when PostgreSQL may forget what it acknowledged."""
        if self.is_sqlite:
            return
        with self.engine.connect() as connection:
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                value = connection.exec_driver_sql(f"SHOW {name}").scalar_one()
                if value == "off":
                    log.warning(
                        "PostgreSQL runs with %s = off: results that were accepted "
                        "can be lost in a crash; set it to on.",
                        name,
                    )

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)


def _first_line(err: DBAPIError) -> str:
    return (str(err.orig or err).strip().splitlines() or [type(err).__name__])[0]


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver opens no transactions of its own
    cursor = connection.cursor()
    _enter_wal_mode(cursor)
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _enter_wal_mode(cursor: sqlite3.Cursor) -> None:
    """Write ahead; of two that switch a new file at once, one fails without a wait."""
    for attempt in range(1, _WAL_ATTEMPTS + 1):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as err:
            if err.sqlite_errorcode != sqlite3.SQLITE_BUSY or attempt == _WAL_ATTEMPTS:
                raise
            threading.Event().wait(_WAL_PAUSE_S)
        else:
            return


def _prepare_postgresql(connection: Any, _entry: ConnectionPoolEntry) -> None:
    from psycopg.types.array import ListBinaryDumper

    # As text, an array costs a regular expression for each of its values: six times
    # the whole statement's other costs for us, four times for the server.
    connection.adapters.register_dumper(list, ListBinaryDumper)


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get(_BEGIN, "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
