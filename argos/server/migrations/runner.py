"""Bring the schema to a revision, forth or back."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from argos.errors import DatabaseError, WrongRevision
from argos.server.database import Database
from argos.server.migrations.legacy_time import ZONE_KEY
from argos.server.migrations.revision import (
    LEGACY_HEAD,
    REVISIONS,
    get_revision,
    unknown_text,
)

log = logging.getLogger(__name__)

_ADVISORY_LOCK = 0x6172676F73
_LEGACY_TABLES = frozenset({
    *("tasks", "results", "users", "config_cache"),
    *("jobs", "blocked_tokens", "tasks_tmp"),
})


def migrate(
    database: Database, *, revision: str = "head", legacy_zone: str | None = None
) -> str:
    """Bring the schema to `revision`, forth or back; return what it has then.

    All in one transaction, under a lock: what is cut off leaves the schema as it was.
    `legacy_zone` names the time zone in which 0.10.3 wrote its naive moments; the
    host's where it is not given. Raises DatabaseError.
    """
    database.check_reachable()
    try:
        with _exclusive(database) as connection:
            _adopt_unstamped(connection)
            return _run(connection, revision, legacy_zone)
    except DBAPIError as err:
        raise DatabaseError(f"The migration of {database} failed: {err.orig}") from err


def _run(connection: Connection, revision: str, legacy_zone: str | None) -> str:
    config = _alembic_config()
    config.attributes["connection"] = connection
    config.attributes[ZONE_KEY] = legacy_zone
    chain = REVISIONS
    target = chain[-1] if revision == "head" else revision
    before = get_revision(connection)
    for name in (target, before):
        if name is not None and name not in chain:
            raise WrongRevision(unknown_text(name))
    if before == target:
        return target
    if before is not None and chain.index(target) < chain.index(before):
        command.downgrade(config, target)
    else:
        command.upgrade(config, target)
    log.info("The schema went from %s to %s.", before or "nothing", target)
    return target


@contextmanager
def _exclusive(database: Database) -> Iterator[Connection]:
    """A connection in a transaction that keeps other migrations out."""
    with database.engine.connect() as connection:
        if not database.is_sqlite:
            with connection.begin():
                database.wait_for_locks(connection)
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK}
                )
                yield connection
            return
        raw = connection.connection.dbapi_connection
        assert raw is not None
        # Remaking a table drops it, which would cascade into what refers to it; the
        # switch works only outside of a transaction.
        raw.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.execution_options(argos_begin="IMMEDIATE").begin():
                yield connection
        finally:
            raw.execute("PRAGMA foreign_keys=ON")


def _adopt_unstamped(connection: Connection) -> None:
    """Recognise the complete schema that 0.10.3 makes at start without stamping it."""
    if get_revision(connection) is not None:
        return
    if set(inspect(connection).get_table_names()) >= _LEGACY_TABLES:
        MigrationContext.configure(connection).stamp(
            ScriptDirectory.from_config(_alembic_config()), LEGACY_HEAD
        )


def _alembic_config() -> Config:
    config = Config()
    folder = str(Path(__file__).parent).replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "os")
    return config
