"""Days that are over are packed, later if need be, and in nobody's way (PostgreSQL)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from argos.core.severity import Severity, Status
from argos.errors import DatabaseUnreachable
from argos.server.models import Duty as DutyRow, Result
from argos.server.queries.partitions import (
    is_looked_at_for_long,
    pack_partition,
)
from argos.server.services.duties import pack_partitions
from argos.server.services.upkeep import Duty, Means, Upkeep

DAY = timedelta(days=1)


@pytest.fixture
def migrated_url(migrated_postgresql_url: str) -> str:
    """SQLite has no partitions."""
    return migrated_postgresql_url


def test_days_that_are_over_are_packed_once(postgresql_database, config, clock, now):
    days = [(now - days * DAY).date() for days in (2, 1, 0)]
    sizes = []
    with postgresql_database.transaction() as session:
        for day in days:
            session.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS results_{day:%Y%m%d} PARTITION OF"
                    f" results FOR VALUES FROM ('{day}') TO ('{day + DAY}')"
                )
            )
    means = Means(postgresql_database, clock, lambda: config, "here")
    upkeep = Upkeep(means, [Duty("packing", timedelta(hours=1), pack_partitions)])
    upkeep.enter()

    for _ in range(3):
        upkeep.do_due()
        with postgresql_database.reading() as session:
            note = session.scalars(select(DutyRow.note)).one()
        sizes.append(note["packed"])

    yesterday, before = days[1].isoformat(), days[0].isoformat()
    assert sizes == [[yesterday], [before, yesterday], [before, yesterday]]
    with postgresql_database.reading() as session:
        full = session.scalars(
            text(
                "SELECT DISTINCT i.tablename FROM pg_indexes i JOIN pg_class c"
                " ON c.relname = i.indexname WHERE i.tablename LIKE 'results_2%'"
                " AND 'fillfactor=100' = ANY(c.reloptions)"
            )
        )
        assert sorted(full) == [f"results_{day:%Y%m%d}" for day in days[:2]]


@pytest.fixture
def yesterday(postgresql_database, now: datetime) -> date:
    """A day that is over, which has a partition."""
    day = (now - DAY).date()
    with postgresql_database.transaction() as session:
        session.execute(
            text(
                f"CREATE TABLE results_{day:%Y%m%d} PARTITION OF results"
                f" FOR VALUES FROM ('{day}') TO ('{day + DAY}')"
            )
        )
    return day


def test_packing_that_is_broken_off_is_done_later_and_leaves_nothing(
    postgresql_database, config, clock, yesterday
):
    indexes = _indexes(postgresql_database, yesterday)
    means = Means(postgresql_database, clock, lambda: config, "here")
    upkeep = Upkeep(means, [Duty("packing", timedelta(hours=1), pack_partitions)])
    upkeep.enter()

    with postgresql_database.viewing() as report:
        report.execute(text("SELECT count(*) FROM results"))
        with ThreadPoolExecutor(1) as threads:
            packing = threads.submit(_pack, postgresql_database, yesterday)
            while not _leftovers(postgresql_database):
                assert not packing.done()
            _add_late_result(postgresql_database, yesterday)
            with pytest.raises(DatabaseUnreachable, match="lock timeout"):
                packing.result()
        left = _leftovers(postgresql_database)
        with postgresql_database.outside() as connection:
            assert is_looked_at_for_long(connection)
        upkeep.do_due()
        noted = _packed(postgresql_database)
    clock.move(hours=1)
    upkeep.do_due()

    assert len(left) >= 1
    assert noted == []
    assert _leftovers(postgresql_database) == []
    assert _packed(postgresql_database) == [yesterday.isoformat()]
    assert _indexes(postgresql_database, yesterday) == indexes == [True] * len(indexes)


def _add_late_result(database: Any, day: date) -> None:
    """Raises DatabaseUnreachable when it has to wait."""
    with database.transaction() as session:
        session.execute(text("SET LOCAL lock_timeout = '200ms'"))
        session.add(
            Result(
                task_id=1,
                agent_id="anna",
                submitted_at=datetime(day.year, day.month, day.day, tzinfo=UTC),
                status=Status.SUCCESS,
                severity=Severity.OK,
            )
        )


def _pack(database: Any, day: date) -> None:
    with database.outside() as connection:
        pack_partition(connection, day)


def _indexes(database: Any, day: date) -> list[bool]:
    """Whether each index of a day is of use."""
    with database.reading() as session:
        table = f"'results_{day:%Y%m%d}'::regclass"
        found = session.scalars(
            text(f"SELECT indisvalid FROM pg_index WHERE indrelid = {table}")
        )
        return list(found)


def _leftovers(database: Any) -> list[str]:
    with database.reading() as session:
        return list(
            session.scalars(
                text(
                    "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
                )
            )
        )


def _packed(database: Any) -> list[str]:
    with database.reading() as session:
        note = session.scalars(select(DutyRow.note)).one()
    return list((note or {}).get("packed", []))
