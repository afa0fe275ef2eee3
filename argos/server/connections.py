"""Connections to the database: how each is set up, and when one is given up."""

import sqlite3
import threading
from typing import Any

from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

SQLITE_BUSY_TIMEOUT_MS = 10_000
LOCK_TIMEOUT_MS = 4_000
"""No statement waits longer for a lock that somebody holds: agents of 0.10.3 hang up
after 5 seconds."""

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
_WRITER_PRAGMAS = (
    "PRAGMA cache_size=-32768",
    # Pages; 16 MiB of log. Reports change the same pages again and again: when each is
    # copied back a quarter as often, a result costs a twentieth less.
    "PRAGMA wal_autocheckpoint=4000",
)
_TORN = frozenset({"DatabaseError", "InternalError"})
"""What psycopg raises, without a code, of an answer that breaks off or goes on wrongly."""
_IDLE_MS = 25_000


def prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """Make a connection to SQLite safe, and as fast as that may be."""
    connection.isolation_level = None  # the driver opens no transactions of its own
    cursor = connection.cursor()
    _enter_wal_mode(cursor)
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def prepare_sqlite_writer(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """Give the one connection that writes what reports and leases need, besides."""
    cursor = connection.cursor()
    for pragma in _WRITER_PRAGMAS:
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


def prepare_postgresql(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """Set what a connection to PostgreSQL needs, also one by way of a pooler."""
    from psycopg.types.array import ListBinaryDumper

    from argos.server.arrays import register_arrays

    # As text, an array costs a regular expression for each of its values: six times
    # the whole statement's other costs for us, four times for the server.
    connection.adapters.register_dumper(list, ListBinaryDumper)
    register_arrays(connection)
    (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    # Not by the startup packet, which PgBouncer refuses when it holds options.
    connection.execute("SET timezone TO 'UTC'")
    if pid == connection.info.backend_pid:
        connection.execute(
            f"SET idle_in_transaction_session_timeout TO {_IDLE_MS};"
            # Where statistics are missing, to compile takes longer than to run.
            # One query has one core, as others are at work.
            f" SET lock_timeout TO {LOCK_TIMEOUT_MS}; SET jit TO off;"
            " SET max_parallel_workers_per_gather TO 0"
        )
    else:
        # A pooler is between us: what is prepared, or set, is another one's next time.
        # It keeps the time zone apart for each of its clients.
        connection.prepare_threshold = None
    connection.commit()


def give_up_connection(context: ExceptionContext) -> None:
    """Know a lost connection by more than what the driver says of it.

    One that does not stand a ping is of no use, whatever the ping has raised: the driver
    may not have seen yet that it was closed. Broken off in the midst of an answer, it
    raises errors that have no code of the server's.
    """
    err = context.original_exception
    is_torn = type(err).__name__ in _TORN and getattr(err, "sqlstate", None) is None
    if context.is_pre_ping or is_torn:
        context.is_disconnect = True
