"""The one connection that writes to SQLite."""

import pytest
from sqlalchemy import text

FULL = 2


def _write(database):
    with database.transaction() as session:
        return id(session.connection().connection.driver_connection)


def test_whoever_writes_does_so_by_the_same_connection(sqlite_database):
    with sqlite_database.reading() as session:
        session.execute(text("SELECT 1"))
        used = {_write(sqlite_database)}
    used |= {_write(sqlite_database) for _ in range(3)}

    assert len(used) == 1


def test_what_it_commits_is_on_disk(sqlite_database):
    with sqlite_database.transaction() as session:
        assert session.scalar(text("PRAGMA synchronous")) == FULL
        assert session.scalar(text("PRAGMA foreign_keys")) == 1


def test_a_transaction_that_failed_leaves_it_usable(sqlite_database):
    def fail() -> None:
        with sqlite_database.transaction() as session:
            session.execute(text("DELETE FROM config_cache"))
            raise RuntimeError

    before = _write(sqlite_database)
    with pytest.raises(RuntimeError):
        fail()

    assert _write(sqlite_database) == before
