"""The database: its engine, its transactions, and whether its schema fits.

SQLite and PostgreSQL are served alike. What differs between them stands here, in
`migrations/` and, as one `if`, in `queries/`.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
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

from argos.clock import system_clock
from argos.errors import DatabaseError, DatabaseUnreachable, TookTooLong
from argos.server.connections import (
    give_up_connection,
    prepare_postgresql,
    prepare_sqlite,
    prepare_sqlite_writer,
)
from argos.server.turn import WriteTurn

__all__ = ["Connection", "Database", "Session", "ViewLimits", "database_url"]

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5
POOL_TIMEOUT_S = 4
"""How long to wait for a free connection: agents of 0.10.3 hang up after 5 seconds."""
_BULK_CACHE = -131_072
"""128 MiB while a fleet is loaded: its indexes fill in no order."""
_STEPS_BETWEEN_LOOKS = 100_000
"""Of SQLite's machine, a few milliseconds: a look at the clock must cost nothing."""
_QUERY_CANCELED = "57014"
_MAY_PASS = frozenset({"25006", "25P03", "25P04"})
"""What psycopg takes for mistakes: a primary that became a standby, and transactions
that PostgreSQL ended because this process was stopped in their midst."""
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


@dataclass(frozen=True, slots=True)
class ViewLimits:
    """How much pages may take, so that agents never wait for a report."""

    connections: int = 6
    """Of a pool of their own."""
    seconds: float = 5.0
    """For one statement on PostgreSQL, for a whole page on SQLite."""


class Database:
    """One engine to write with, one to look with, and the ways to use them.

    `transaction` and `reading` are for the server's work, `viewing` is for pages.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        pool_size: int = 10,
        max_overflow: int = 20,
        view_limits: ViewLimits | None = None,
    ) -> None:
        self.url = database_url(url) if isinstance(url, str) else url
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        # To SQLAlchemy 0 means without a limit, to the config: as it likes.
        sizes = {"pool_size": pool_size, "max_overflow": max_overflow}
        self.engine = self._make_engine({k: v for k, v in sizes.items() if v})
        self._writer = self._make_writer() if self.is_sqlite else self.engine
        self._writing = self._writer.execution_options(**{_BEGIN: "IMMEDIATE"})
        alone = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._each_alone = self.engine.execution_options(**alone)
        self._viewing = self._make_viewing_engine(view_limits or ViewLimits())
        # SQLite has one writer: queueing here is fair, its own busy handler polls.
        self._write_turn: AbstractContextManager[Any] = (
            WriteTurn(POOL_TIMEOUT_S) if self.is_sqlite else nullcontext()
        )

    def _make_engine(self, sizes: Mapping[str, int]) -> Engine:
        sizes = {"pool_timeout": POOL_TIMEOUT_S, **sizes}
        if self.is_sqlite:
            arguments: dict[str, Any] = {"check_same_thread": False}
            if self.url.database in {None, "", ":memory:"}:
                raise DatabaseError("An in-memory SQLite database keeps nothing.")
            engine = create_engine(self.url, connect_args=arguments, **sizes)
            event.listen(engine, "connect", prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        engine = create_engine(
            self.url,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
            pool_pre_ping=True,
            **sizes,
        )
        event.listen(engine, "connect", prepare_postgresql)
        event.listen(engine, "handle_error", give_up_connection)
        return engine

    def _make_writer(self) -> Engine:
        """The engine with the one connection that writes, to SQLite.

        A write makes the caches of all other connections worthless: if turns to write
        went to another one each, each would read anew what the last has just had.
        """
        engine = self._make_engine({"pool_size": 1})
        event.listen(engine, "connect", prepare_sqlite_writer)
        return engine

    @property
    def engines(self) -> Sequence[Engine]:
        """Those that all but pages goes through."""
        return (self.engine, self._writer) if self.is_sqlite else (self.engine,)

    def _make_viewing_engine(self, limits: ViewLimits) -> Engine:
        sizes = {"pool_size": limits.connections, "max_overflow": 0}
        engine = self._make_engine(sizes)
        limit = _limit_sqlite if self.is_sqlite else _limit_postgresql
        event.listen(engine, "begin", partial(limit, seconds=limits.seconds))
        return engine

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that may write: commits at the end, rolls back on an error."""
        with (
            self._translating_errors(),
            Session(self._writing, expire_on_commit=False) as session,
            self._write_turn,
            session.begin(),
        ):
            yield session

    def reading(self) -> AbstractContextManager[Session]:
        """A session that only reads; on SQLite in one snapshot."""
        return self._looking(self._each_alone)

    def viewing(self) -> AbstractContextManager[Session]:
        """A session for a page: of a small pool, for a limited time, in one snapshot."""
        return self._looking(self._viewing)

    def each_alone(self) -> AbstractContextManager[Session]:
        """Statements that commit without a trip of its own; on SQLite all together."""
        return self.transaction() if self.is_sqlite else self.reading()

    @contextmanager
    def _looking(self, engine: Engine) -> Iterator[Session]:
        with (
            self._translating_errors(),
            Session(engine, expire_on_commit=False, autoflush=False) as session,
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
                # Closed at the end, however it comes, with its tables and its cache.
                connection.detach()
                connection.exec_driver_sql(f"PRAGMA cache_size={_BULK_CACHE}")
                connection.rollback()
                with Session(connection) as session, session.begin():
                    prepare(session)
                connection.execution_options(**{_BEGIN: "IMMEDIATE"})
            with self._write_turn, Session(connection) as session, session.begin():
                if not self.is_sqlite:
                    self.wait_for_locks(session.connection())
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
            self.wait_for_locks(connection)
            yield connection

    def wait_for_locks(self, connection: Connection) -> None:
        """Let a transaction wait for locks as long as it takes: it is not an agent's."""
        if not self.is_sqlite:
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")

    @contextmanager
    def outside(self) -> Iterator[Connection]:
        """A bare connection without a transaction, for what cannot be in one."""
        with self._translating_errors(), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        """Raise DatabaseUnreachable for what may go well at the next attempt."""
        try:
            yield
        except (OperationalError, InterfaceError) as err:
            if _sqlite_code(err) == sqlite3.SQLITE_ERROR:
                raise  # a wrong statement, or no such table
            if _sqlite_code(err) == sqlite3.SQLITE_INTERRUPT or _is_cancelled(err):
                raise TookTooLong from err
            raise DatabaseUnreachable(
                f"The database {self} does not answer: {_first_line(err)}"
            ) from err
        except DBAPIError as err:
            if not (err.connection_invalidated or _sql_state(err) in _MAY_PASS):
                raise
            raise DatabaseUnreachable(
                f"The database {self} does not take it: {_first_line(err)}"
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
        for engine in self.engines:
            engine.dispose()
        self._viewing.dispose()

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)


def _sqlite_code(err: DBAPIError) -> int | None:
    return getattr(err.orig, "sqlite_errorcode", None)


def _sql_state(err: DBAPIError) -> str | None:
    return getattr(err.orig, "sqlstate", None)


def _is_cancelled(err: DBAPIError) -> bool:
    return _sql_state(err) == _QUERY_CANCELED


def _first_line(err: DBAPIError) -> str:
    return (str(err.orig or err).strip().splitlines() or [type(err).__name__])[0]


def _limit_sqlite(connection: Connection, *, seconds: float) -> None:
    """Interrupt what the transaction does when its time is over."""
    end = system_clock.monotonic() + seconds
    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(
        lambda: system_clock.monotonic() > end, _STEPS_BETWEEN_LOOKS
    )


def _limit_postgresql(connection: Connection, *, seconds: float) -> None:
    """End each statement that takes longer; set for the transaction, for poolers.

    A page takes several statements, which must not see results go from the open hour
    into a day in between: counted twice, or not at all.
    """
    connection.exec_driver_sql(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;"
        f" SET LOCAL statement_timeout = {seconds * 1000:.0f}"
    )


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get(_BEGIN, "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
