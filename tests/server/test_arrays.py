"""Packed arrays: PostgreSQL reads what we meant."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import text

from argos.server.arrays import pack_array
from argos.server.columns import from_epoch_us
from argos.server.database import Database

moments = st.integers(-(10**15), 10**15).map(from_epoch_us)
VALUES = {
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "boolean": st.booleans(),
    "timestamptz": moments,
    "bytea": st.binary(max_size=9),
    "text": st.text(
        st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=9
    ),
}


@pytest.mark.parametrize("kind", VALUES)
def test_an_array_arrives_as_it_was_sent(postgresql_database: Database, kind: str):
    statement = text(f"SELECT unnest(CAST(:values AS {kind}[]))")

    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(st.none() | VALUES[kind], max_size=5))
    def check(values):
        with postgresql_database.reading() as session:
            found = session.execute(statement, {"values": pack_array(kind, values)})
            assert list(found.scalars()) == values

    check()


def test_enums_and_documents_travel_as_texts(postgresql_database: Database):
    statement = text(
        "SELECT unnest(CAST(:severities AS severity[])) AS severity,"
        " unnest(CAST(:documents AS jsonb[])) AS document"
    )

    with postgresql_database.reading() as session:
        rows = session.execute(
            statement,
            {
                "severities": pack_array("severity", ["ok", None]),
                "documents": pack_array("jsonb", ['{"a": 1}', None]),
            },
        )

        assert [tuple(row) for row in rows] == [("ok", {"a": 1}), (None, None)]


def test_a_moment_keeps_its_last_digit(postgresql_database: Database):
    moment = datetime(2026, 3, 14, 12, 0, 0, 123457, tzinfo=UTC)
    moments = [moment + timedelta(microseconds=place) for place in range(3)]

    with postgresql_database.reading() as session:
        found = session.execute(
            text("SELECT unnest(CAST(:moments AS timestamptz[]))"),
            {"moments": pack_array("timestamptz", moments)},
        )

        assert list(found.scalars()) == moments
