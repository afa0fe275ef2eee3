"""Many rows are written with each call, and each row once."""

import pytest
from sqlalchemy import text

from argos.server.queries.bulk import write_chunks


@pytest.mark.parametrize("count", [0, 1, 3, 4, 19, 20, 47])
def test_each_row_is_written_once_in_its_order(sqlite_database, count):
    rows = [(number, str(number)) for number in range(count)]

    def insert(size):
        return f"INSERT INTO t VALUES {', '.join(['(?, ?)'] * size)}"

    with sqlite_database.transaction() as session:
        session.execute(text("CREATE TABLE t (number INTEGER, name TEXT)"))
        written = write_chunks(session.connection(), insert, rows)
        found = session.execute(text("SELECT number, name FROM t ORDER BY rowid"))

        assert [tuple(row) for row in found] == rows
    assert written == count
