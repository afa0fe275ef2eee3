"""What PostgreSQL knows of a fleet that was just loaded, and what it does without."""

import re

from sqlalchemy import event, text

from argos.server.queries.leased import LeaseTerms
from argos.server.queries.leases import lease_groups
from argos.server.services.reconcile import reconcile
from tests.server.factories import add_group, make_config

GROUPS = 20_000
_COPIES = f"""
INSERT INTO schedule (id, key, shard, frequency, timeout_s, due_at, pool, lease_no,
  missed_runs)
SELECT i, decode(md5('g' || i), 'hex'), i % 16, frequency, timeout_s, due_at, pool, 0, 0
FROM schedule CROSS JOIN generate_series(2, {GROUPS}) AS n(i);
INSERT INTO tasks (id, key, group_id, url, domain, "check", expected, frequency,
  method, ip_version, task_group, severity)
SELECT i, decode(md5('t' || i), 'hex'), i, url, domain, "check", expected, frequency,
  method, ip_version, task_group, severity
FROM tasks CROSS JOIN generate_series(2, {GROUPS}) AS n(i);
"""
_READ_ALONG = """
SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'tasks'
"""


def _count_read_along(session):
    """How many rows of tasks were read without an index."""
    session.execute(text("SELECT pg_stat_force_next_flush()"))
    return session.scalar(text(_READ_ALONG))


def test_a_lease_does_not_read_all_tasks_before_there_are_statistics(
    postgresql_database, now
):
    with postgresql_database.transaction() as session:
        session.execute(text("ALTER TABLE tasks SET (autovacuum_enabled = false)"))
        add_group(session, "site", due_at=now, id=1, tasks={"id": 1})
        session.execute(text(_COPIES))

    with postgresql_database.each_alone() as session:
        before = _count_read_along(session)
        leases = [
            lease_groups(
                session, agent="anna", pools=[0], limit=100, now=now, terms=terms
            ).read_tasks()
            for terms in (LeaseTerms(), LeaseTerms(part=1))
        ]
        after = _count_read_along(session)

    assert [len(tasks) for tasks in leases] == [100, 100]
    assert after == before


def test_statistics_are_there_as_soon_as_a_fleet_is_loaded(
    postgresql_database, migrated_postgresql_url, tmp_path, now
):
    path = {"path": "/", "checks": [{"status-is": 200}]}
    loaded = make_config(
        tmp_path,
        url=migrated_postgresql_url,
        websites=[
            {"domain": f"https://site{place}.example", "paths": [path]}
            for place in range(3)
        ],
    )

    reconcile(postgresql_database, loaded, now=now)

    with postgresql_database.reading() as session:
        known = session.scalars(text("SELECT DISTINCT tablename FROM pg_stats"))
        assert {"tasks", "schedule", "websites"} <= set(known)


def test_a_reload_finds_the_groups_that_change_once_not_for_each_group(
    postgresql_database, make_loaded, now
):
    locks: list[str] = []

    def note(_connection, _cursor, statement, *_) -> None:
        if "FOR NO KEY UPDATE OF schedule" in statement and " IN (" in statement:
            locks.append(statement.partition(" IN (")[2])

    event.listen(postgresql_database.engine, "before_cursor_execute", note)
    reconcile(postgresql_database, make_loaded(), now=now)

    assert len(locks) == 2
    for inner in locks:
        parts = inner.split(" UNION ")
        # Each finds the rows by itself, instead of being asked about one row.
        assert all(re.search(r"\bFROM schedule\b", part) for part in parts), inner
