"""Results are found by their ids, however fast they came in (PostgreSQL)."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from argos.server.queries.partitions import ensure_partitions, summarize_ids
from argos.server.services import duties
from argos.server.services.upkeep import Duty, Means, Upkeep

MANY = 30_000
_FILL = """
INSERT INTO results (task_id, agent_id, submitted_at, status, severity)
SELECT n, 'anna', :moment, 'success', 'ok' FROM generate_series(1, :many) AS n
"""


@pytest.fixture
def migrated_url(migrated_postgresql_url: str) -> str:
    """SQLite finds them by its primary key."""
    return migrated_postgresql_url


@pytest.fixture
def upkeep(postgresql_database, config, clock, now) -> Upkeep:
    """Looks after ids; many results of today are there already."""
    with postgresql_database.transaction() as session:
        ensure_partitions(session, now=now)
        table = f"results_{now:%Y%m%d}"
        session.execute(text(f"ALTER TABLE {table} SET (autovacuum_enabled = off)"))
        session.execute(text(_FILL), {"moment": now, "many": MANY})
    means = Means(postgresql_database, clock, lambda: config, "here")
    upkeep = Upkeep(
        means, [Duty("result_ids", timedelta(minutes=5), duties.summarize_ids)]
    )
    upkeep.enter()
    return upkeep


def test_no_stretch_of_results_is_left_that_has_to_be_read_for_an_id(
    postgresql_database, upkeep, now
):
    upkeep.do_due()

    with postgresql_database.transaction() as session:
        assert summarize_ids(session, day=now.date()) == 0


def test_yesterdays_last_results_are_found_as_well(
    postgresql_database, upkeep, clock, now
):
    clock.move(days=1)
    upkeep.do_due()

    with postgresql_database.transaction() as session:
        assert summarize_ids(session, day=now.date()) == 0


def test_a_vacuum_under_way_is_not_broken_off(postgresql_database, upkeep, now, caplog):
    table = f"results_{now:%Y%m%d}"
    with postgresql_database.connection() as vacuum:
        vacuum.execute(text(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE"))
        upkeep.do_due()

    assert caplog.messages == []  # it waited for nothing
    with postgresql_database.transaction() as session:
        assert summarize_ids(session, day=now.date()) > 1
