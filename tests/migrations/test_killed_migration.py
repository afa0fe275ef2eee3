"""`argos server migrate` that is killed in its midst, and run again."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from argos.server.database import Database
from argos.server.migrations import revision, runner
from tests.e2e.installation import Installation, make_config
from tests.e2e.programs import Program
from tests.e2e.waiting import wait_until

TASKS = 10
RESULTS = 12_000
CONTEXT_BYTES = 1_500
"""So much, that SQLite writes most of it out before it commits."""
WRITTEN_BYTES = 1_000_000
PATIENCE_S = 20
FIRST = datetime(2026, 7, 1, 12, 0, 0, 1)  # noqa: DTZ001  # as 0.10.3 writes it

_TASK = (
    'INSERT INTO tasks (id, url, domain, "check", expected, frequency, severity,'
    " ip_version, method, task_group, contiguous_failures) VALUES"
    " (:id, :url, 'https://a.example/', 'status-is', '200', 5, 'ok', '4', 'GET',"
    " :url, 0)"
)
_RESULT = (
    "INSERT INTO results (id, task_id, agent_id, submitted_at, status, severity,"
    " context) VALUES (:id, :task, 'agent-1', :moment, 'success', 'ok', :context)"
)


@pytest.fixture
def argos(database_url: str, tmp_path: Path) -> Installation:
    """Ours, on a database that 0.10.3 has filled."""
    with closing(Database(database_url)) as database:
        runner.migrate(database, revision=revision.LEGACY_HEAD)
        with database.transaction() as session:
            session.execute(
                text(_TASK),
                [
                    {"id": n, "url": f"https://a.example/{n}"}
                    for n in range(1, TASKS + 1)
                ],
            )
            context = '{"note": "' + "x" * CONTEXT_BYTES + '"}'
            session.execute(
                text(_RESULT),
                [
                    {
                        "id": n,
                        "task": n % TASKS + 1,
                        "moment": str(FIRST + timedelta(minutes=n)),
                        "context": context,
                    }
                    for n in range(1, RESULTS + 1)
                ],
            )
    return Installation(tmp_path / "argos", make_config([], database_url=database_url))


@contextmanager
def half_migrated(argos: Installation, database_url: str) -> Iterator[Program]:
    """A migration under way that has changed much and has much to do."""
    command = ("server", "migrate", "--config", "config.yaml")
    if not database_url.startswith("sqlite"):
        with (
            closing(Database(database_url)) as database,
            database.outside() as watch,
            # It must wait for whoever reads the table that it remakes.
            database.connection() as reader,
        ):
            reader.execute(text("SELECT 1 FROM results LIMIT 1"))
            with argos.start(*command, log="killed.log") as migration:
                wait_until(
                    lambda: watch.scalar(
                        text("SELECT count(*) FROM pg_locks WHERE NOT granted")
                    ),
                    within_s=PATIENCE_S,
                    what="the migration to wait for a lock",
                )
                yield migration
        return
    log = Path(database_url.removeprefix("sqlite:///") + "-wal")
    with argos.start(*command, log="killed.log") as migration:
        wait_until(
            lambda: log.stat().st_size > WRITTEN_BYTES,
            within_s=PATIENCE_S,
            what="the migration to write",
        )
        yield migration


def test_f24_a_killed_migration_changes_nothing_and_is_done_at_the_next_run(
    argos, database_url
):
    with half_migrated(argos, database_url) as migration:
        assert not migration.has_ended
        migration.kill()
    with closing(Database(database_url)) as database:
        left = revision.current_revision(database)

    argos.must("server", "migrate", "--config", "config.yaml")

    assert left == revision.LEGACY_HEAD
    with closing(Database(database_url)) as database:
        revision.check_revision(database)
        with database.reading() as session:
            rows = session.execute(
                text(
                    "SELECT count(*), count(DISTINCT id), max(id),"
                    " (SELECT count(*) FROM tasks), (SELECT count(*) FROM schedule)"
                    " FROM results"
                )
            ).one()
    assert rows == (RESULTS, RESULTS, RESULTS, TASKS, TASKS)
