"""A PostgreSQL whose connections fail where they are told to."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from sqlalchemy import make_url

from argos.server.database import Database
from argos.server.migrations.runner import migrate
from tests.simulator.diary import Trigger, triggers
from tests.simulator.disk import Disk, Fault
from tests.simulator.engines import Engines

PING = "SELECT 1"
"""Asked of each connection before it is used; it costs a third of the time, and of ours
it is known whether they are open."""


class PostgreSQLServer:
    """A server that makes databases with the schema and the diary's triggers."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._admin = psycopg.connect(url, autocommit=True)
        self._template = f"simulated_{uuid.uuid4().hex}"
        self._create(self._template, "template0")
        database = Database(self.url_of(self._template))
        migrate(database)
        database.close()
        with psycopg.connect(self.url_of(self._template)) as connection:
            connection.execute(triggers(is_sqlite=False).encode())

    def url_of(self, name: str) -> str:
        """The URL of one of its databases."""
        return self._url.set(database=name).render_as_string(hide_password=False)

    def new_store(self, *_: object) -> "PostgreSQLStore":
        """A database for one world."""
        name = f"world_{uuid.uuid4().hex}"
        self._create(name, self._template)
        return PostgreSQLStore(self, name)

    def _create(self, name: str, template: str) -> None:
        self._admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )

    def drop(self, name: str) -> None:
        """Drop one of its databases."""
        self._admin.execute(
            sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        )

    def close(self) -> None:
        """Leave nothing behind."""
        self.drop(self._template)
        self._admin.close()


@contextmanager
def simulated_server(url: str) -> Iterator[PostgreSQLServer]:
    """A server's part in simulations, until they are over."""
    server = PostgreSQLServer(url)
    try:
        yield server
    finally:
        server.close()


class PostgreSQLStore:
    """One of a server's databases."""

    is_sqlite = False

    def __init__(self, server: PostgreSQLServer, name: str) -> None:
        self._server = server
        self._name = name
        self._url = server.url_of(name)

    def add_trigger(self, trigger: Trigger) -> None:
        """Let the database itself do something more, at each change."""
        with psycopg.connect(self._url) as connection:
            connection.execute(trigger.script("bug", is_sqlite=False).encode())

    def look(self) -> psycopg.Connection:
        """A connection past all faults."""
        return psycopg.connect(self._url, autocommit=True)

    def open(self, disk: Disk) -> Database:
        """The product's own database object, with the faults of a process."""
        return _ENGINES.open(self._url, self._name, disk)

    def close(self, database: Database, disk: Disk) -> None:
        """Close all connections; it will serve another process, compiled as it is."""
        _ENGINES.close(database)
        for connection in disk.connections:
            connection.cut()

    def delete(self) -> None:
        """Drop the database."""
        self._server.drop(self._name)


class _Connection(psycopg.Connection[Any]):
    disk: Disk | None = None
    future_disk: Disk | None = None
    told_s: float | None = None
    """The true time, as the server knows it from us for its triggers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursor_factory = _Cursor

    @property
    def is_idle(self) -> bool:
        """Whether the next statement begins a transaction."""
        return self.info.transaction_status is TransactionStatus.IDLE

    def commit(self) -> None:
        disk = self.disk
        if disk is None or self.is_idle:
            super().commit()
            return
        self.meet(disk.before_commit())
        super().commit()
        self.meet(disk.after_commit())

    def rollback(self) -> None:
        # With the transaction goes what was set in it.
        self.told_s = None
        super().rollback()

    def cut(self) -> None:
        """End, as if the server had noticed at once that nobody is there any more."""
        if not self.closed:
            super().rollback()
            self.close()

    def meet(self, fault: Fault | None) -> None:
        """Raise what the driver raises of a fault; all but one break the connection."""
        if fault is None:
            return
        if fault is Fault.BUSY:
            raise psycopg.errors.LockNotAvailable("made up")
        self.cut()
        raise psycopg.OperationalError(f"made up: {fault}")


class _Cursor(psycopg.Cursor[Any]):
    def execute(self, query: Any, *args: Any, **kwargs: Any) -> "_Cursor":
        connection: Any = self.connection
        disk: Disk | None = connection.disk
        if disk is None:
            return super().execute(query, *args, **kwargs)
        if query == PING and not connection.closed:
            return self
        connection.meet(disk.before_statement(begins=connection.is_idle))
        if not str(query).startswith("SELECT"):
            self._tell_time(connection, disk)
        if not connection.autocommit:
            return super().execute(query, *args, **kwargs)
        connection.meet(disk.before_commit())
        super().execute(query, *args, **kwargs)
        connection.meet(disk.after_commit())
        return self

    def executemany(self, query: Any, *args: Any, **kwargs: Any) -> None:
        connection: Any = self.connection
        if connection.disk is not None:
            connection.meet(connection.disk.before_statement(begins=connection.is_idle))
            self._tell_time(connection, connection.disk)
        super().executemany(query, *args, **kwargs)

    def _tell_time(self, connection: _Connection, disk: Disk) -> None:
        now_s = disk.true_seconds()
        if connection.told_s != now_s:
            super().execute("SELECT set_config('sim.now', %s, false)", [str(now_s)])
            connection.told_s = now_s


def _connect(
    name: str | None, disk: Disk | None, arguments: list[Any], options: dict[str, Any]
) -> _Connection:
    # However busy this machine is, no time passes in the world meanwhile.
    changed = {**options, "connect_timeout": 60}
    if name is not None:
        changed["dbname"] = name
    connection = _Connection.connect(*arguments, **changed)
    connection.future_disk = disk
    if disk is not None:
        disk.connections.append(connection)
    return connection


def _expose_to_fate(connection: Any, _entry: object) -> None:
    # Not before: nobody is to be held up while he makes a connection, as all others
    # would wait for the pool.
    connection.disk = connection.future_disk


_ENGINES = Engines(_connect, _expose_to_fate)
