"""Statements that commit by themselves."""

import pytest
from sqlalchemy import text

_ADD = text("INSERT INTO config_cache (name, val, updated_at) VALUES (:name, '', :now)")
_LIST = text("SELECT name FROM config_cache")


def _moment(database, now):
    return int(now.timestamp() * 1e6) if database.is_sqlite else now


def _add_and_fail(way, name, now):
    with way as session:
        session.execute(_ADD, {"name": name, "now": now})
        raise RuntimeError


def test_what_was_written_before_an_error_stays_on_postgresql(postgresql_database, now):
    with pytest.raises(RuntimeError):
        _add_and_fail(postgresql_database.each_alone(), "a", now)

    with postgresql_database.reading() as session:
        assert session.scalars(_LIST).all() == ["a"]


def test_all_is_written_in_the_end_on_both(database, now):
    with database.each_alone() as session:
        for name in "ab":
            session.execute(_ADD, {"name": name, "now": _moment(database, now)})

    with database.reading() as session:
        assert set(session.scalars(_LIST)) == {"a", "b"}


def test_transactions_on_the_same_connections_are_as_ever(postgresql_database, now):
    with postgresql_database.each_alone() as session:
        session.execute(_ADD, {"name": "a", "now": now})

    with pytest.raises(RuntimeError):
        _add_and_fail(postgresql_database.transaction(), "b", now)

    with postgresql_database.reading() as session:
        assert session.scalars(_LIST).all() == ["a"]


def test_nothing_is_compiled(postgresql_database):
    with postgresql_database.reading() as session:
        assert session.scalar(text("SHOW jit")) == "off"
        assert session.scalar(text("SHOW max_parallel_workers_per_gather")) == "0"
