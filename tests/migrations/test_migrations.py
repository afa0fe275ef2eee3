"""The schema's way from nothing, and from 0.10.3, to the newest revision and back."""

import threading
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from argos.clock import utcnow
from argos.core.rollup import Kind, hours_of_day
from argos.core.schedule import EPOCH
from argos.core.severity import Severity, Status
from argos.errors import DatabaseUnreachable, WrongRevision
from argos.server.database import Database
from argos.server.migrations import revision, runner
from argos.server.models import (
    Base,
    ConfigCache,
    Incident,
    Result,
    Schedule,
    Task,
    TaskDay,
    User,
    Website,
)

LEGACY = revision.LEGACY_HEAD


@pytest.fixture
def database(database_url):
    database = Database(database_url)
    yield database
    database.close()


def differences(database):
    """What the models have and the schema has not, and the other way round.

    Partitions, and the foreign key that PostgreSQL goes without, are meant so.
    """
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda _object, name, *_: (
                    not (
                        (name or "").startswith("results_20")
                        or (name or "").startswith("results_default")
                        or name in {"ix_results_id", "results_task_id_fkey"}
                    )
                ),
            },
        )
        return compare_metadata(context, Base.metadata)


def test_a_fresh_schema_is_what_the_models_say(database):
    runner.migrate(database)

    assert differences(database) == []
    revision.check_revision(database)


def test_i55_one_step_down_and_up_again_gives_the_same_schema(database):
    runner.migrate(database)
    runner.migrate(database, revision=LEGACY)
    tables = set(inspect(database.engine).get_table_names())

    runner.migrate(database)

    assert tables == {
        *("alembic_version", "blocked_tokens", "config_cache", "jobs"),
        *("results", "tasks", "tasks_tmp", "users"),
    }
    assert differences(database) == []


def fill_as_0_10_3(database):
    """Rows as 0.10.3 leaves them: naive moments in its host's time zone."""
    task = (
        'INSERT INTO tasks (id, url, domain, "check", expected, frequency, severity,'
        " ip_version, method, task_group, completed_at, next_run, selected_by,"
        " selected_at, last_severity_update, contiguous_failures) VALUES"
    )
    with database.transaction() as session:
        for statement in (
            f"{task} (1, 'https://a.example/x', 'https://a.example/', 'status-is',"
            " '200', 5, 'critical', '4', 'GET', 'GET-4-https://a.example/x-d4',"
            " '2026-07-01 12:00:00.000001', '2026-07-01 12:05:00', 'agent-1',"
            " '2026-07-01 12:04:59', '2026-07-01 12:00:00.000001', 0)",
            f"{task} (2, 'https://a.example/x', 'https://a.example/', 'http-to-https',"
            " '{\"range\": [300, 400]}', 5, 'ok', '6', 'GET',"
            " 'GET-6-https://a.example/x-d4', NULL, NULL, NULL, NULL, NULL, 0)",
            f"{task} (3, 'https://a.example/x', 'https://a.example/', 'status-is',"
            " '200', 5, 'ok', '4', 'GET', 'GET-4-https://a.example/x',"
            " NULL, NULL, NULL, NULL, NULL, 0)",
            "INSERT INTO results (id, task_id, agent_id, submitted_at, status,"
            " severity, context) VALUES (7, 1, 'agent-1',"
            " '2026-07-01 12:00:00.000001', 'failure', 'critical',"
            ' \'{"expected": 200, "retrieved": 500}\')',
            "INSERT INTO users (username, password, disabled, created_at) VALUES"
            " ('ada', '$2b$12$hash', false, '2026-01-01 00:00:00')",
            "INSERT INTO config_cache (name, val, updated_at) VALUES"
            " ('websites_hash', 'abc', '2026-01-01 00:00:00')",
        ):
            session.execute(text(statement))


def test_a_database_of_0_10_3_keeps_its_rows_and_gains_a_queue(database):
    runner.migrate(database, revision=LEGACY)
    fill_as_0_10_3(database)

    runner.migrate(database, legacy_zone="Europe/Paris")

    with database.reading() as session:
        ran = session.get_one(Task, 1)
        assert ran.completed_at == datetime(2026, 7, 1, 10, 0, 0, 1, tzinfo=UTC)
        assert ran.next_run == datetime(2026, 7, 1, 10, 5, tzinfo=UTC)
        assert ran.selected_by is None
        assert ran.website == session.scalar(select(Website))
        assert ran.archived_at is None
        assert session.get_one(Task, 3).archived_at, "it is the same as the first"
        assert session.get_one(Task, 2).schedule is not None
        result = session.get_one(Result, 7)
        assert (result.status, result.severity) == (Status.FAILURE, Severity.CRITICAL)
        assert result.context == {"expected": 200, "retrieved": 500}
        assert result.submitted_at == ran.completed_at
        day = session.scalars(select(TaskDay)).one()
        assert (day.task_id, day.day) == (1, (ran.completed_at - EPOCH).days)
        assert (day.ok, day.critical, day.maintenance) == (0, 1, 0)
        assert hours_of_day(day.hours, base=len(Kind)) == {10: {Kind.CRITICAL: 1}}
        ada = session.get_one(User, "ada")
        assert ada.created_at == datetime(2025, 12, 31, 23, tzinfo=UTC)


def test_an_open_problem_of_0_10_3_becomes_an_incident(database):
    runner.migrate(database, revision=LEGACY)
    fill_as_0_10_3(database)
    with database.transaction() as session:
        session.execute(text("DELETE FROM tasks WHERE id = 3"))

    runner.migrate(database, legacy_zone="UTC")

    with database.reading() as session:
        incident = session.scalars(select(Incident)).one()
        assert incident.task_id == 1
        assert incident.severity is Severity.CRITICAL
        assert incident.task.told_severity is Severity.CRITICAL


def test_going_back_gives_0_10_3_its_rows_in_its_own_time(database):
    runner.migrate(database, revision=LEGACY)
    fill_as_0_10_3(database)
    with database.transaction() as session:
        session.execute(text("DELETE FROM tasks WHERE id = 3"))
    runner.migrate(database, legacy_zone="Europe/Paris")
    with database.transaction() as session:
        session.add(ConfigCache(name="general_timeout", val="30.0"))

    runner.migrate(database, revision=LEGACY, legacy_zone="Europe/Paris")

    with database.engine.connect() as connection:
        row = connection.execute(
            text("SELECT completed_at, next_run, severity FROM tasks WHERE id = 1")
        ).one()
        assert [str(value) for value in row] == [
            "2026-07-01 12:00:00.000001",
            "2026-07-01 12:05:00" + (".000000" if database.is_sqlite else ""),
            "critical",
        ]
        assert connection.scalar(text("SELECT count(*) FROM results")) == 1
        assert connection.scalar(text("SELECT username FROM users")) == "ada"
        names = connection.scalars(text("SELECT name FROM config_cache")).all()
        assert names == ["websites_hash"], "it stumbles over names that are not its own"


def test_a46_tables_that_0_10_3_made_without_a_stamp_are_adopted(database):
    runner.migrate(database, revision=LEGACY)
    with database.transaction() as session:
        session.execute(text("DROP TABLE alembic_version"))

    runner.migrate(database)

    assert differences(database) == []


def test_i56_a_server_refuses_an_empty_database(database):
    with pytest.raises(WrongRevision, match="run `argos server migrate`"):
        revision.check_revision(database)


def test_a_schema_of_the_future_is_refused(database):
    runner.migrate(database)
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'f00'"))

    with pytest.raises(WrongRevision, match="f00 is not one that this version knows"):
        revision.check_revision(database)
    with pytest.raises(WrongRevision, match="f00"):
        runner.migrate(database)


def test_an_unreachable_database_is_one_line(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/no/such/folder/argos.db")

    with pytest.raises(DatabaseUnreachable, match="unable to open database file") as it:
        revision.check_revision(database)

    assert "\n" not in str(it.value)


def test_f25_two_migrations_at_once_leave_one_schema(database_url):
    databases = [Database(database_url) for _ in range(2)]
    faults = []

    def migrate(database):
        try:
            runner.migrate(database)
        except Exception as err:  # noqa: BLE001  # the thread hands it to the test
            faults.append(err)

    threads = [threading.Thread(target=migrate, args=(each,)) for each in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert differences(databases[0]) == []
    for database in databases:
        database.close()


def test_a_failed_migration_changes_nothing(database):
    runner.migrate(database, revision=LEGACY)
    fill_as_0_10_3(database)
    with database.transaction() as session:
        session.execute(text("UPDATE tasks SET \"check\" = 'no-such-check'"))

    with pytest.raises(LookupError, match="no-such-check"):
        runner.migrate(database)

    assert revision.current_revision(database) == LEGACY
    with database.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM tasks")) == 3


def test_deleting_a_task_deletes_its_results(database):
    runner.migrate(database, revision=LEGACY)
    fill_as_0_10_3(database)
    runner.migrate(database, legacy_zone="UTC")

    with database.transaction() as session:
        session.execute(text("DELETE FROM tasks WHERE id = 1"))

    with database.reading() as session:
        assert session.scalars(select(Result)).all() == []


def test_people_with_a_database_shell_find_the_given_columns(database):
    runner.migrate(database, revision=LEGACY)
    fill_as_0_10_3(database)
    runner.migrate(database, legacy_zone="UTC")

    with database.engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM tasks_view WHERE id = 1")).one()

    assert {
        *("id", "url", "domain", "check", "expected", "frequency", "selected_by"),
        *("selected_at", "completed_at", "next_run", "severity"),
        "last_severity_update",
    } <= set(row._fields)


def test_the_known_revisions_are_alembics():
    script = ScriptDirectory.from_config(runner._alembic_config())

    chain = [each.revision for each in script.walk_revisions()][::-1]
    assert list(revision.REVISIONS) == chain


def test_going_back_leaves_0_10_3_no_task_twice(database):
    runner.migrate(database)
    with database.transaction() as session:
        request = {"url": "https://a.example/", "domain": "https://a.example/"}
        for n, options in enumerate([None, {"follow": 1}, {"follow": 2}]):
            key = bytes([n] * 16)
            group = Schedule(key=key, frequency=5, due_at=utcnow(), options=options)
            session.add(group)
            session.flush()
            expected = "301" if n == 2 else "200"
            task = Task(key=key, check="status-is", expected=expected, frequency=5)
            for name, value in {**request, "group_id": group.id}.items():
                setattr(task, name, value)
            session.add(task)

    runner.migrate(database, revision=LEGACY)

    with database.engine.connect() as connection:
        left = connection.scalars(text("SELECT expected FROM tasks ORDER BY id")).all()
        assert left == ["200", "301"]


def test_going_back_leaves_0_10_3_one_task_for_all_locations(database):
    runner.migrate(database)
    with database.transaction() as session:
        for n, location in enumerate([None, "oslo", "paris", "oslo", "paris"]):
            key = bytes([n] * 16)
            group = Schedule(
                key=key, frequency=5, due_at=utcnow(), location=location, pool=10
            )
            session.add(group)
            session.flush()
            task = Task(
                key=key,
                url=f"https://a.example/{max(n - 1, 0) // 2}",
                domain="https://a.example/",
                check="status-is",
                expected=str(n),
                frequency=5,
                group_id=group.id,
                location=location,
                quorum=location and 2,
                watch_key=location and bytes([100 + (n - 1) // 2] * 16),
            )
            session.add(task)

    runner.migrate(database, revision=LEGACY)

    with database.engine.connect() as connection:
        left = connection.scalars(text("SELECT expected FROM tasks ORDER BY id")).all()
        assert left == ["0", "1", "3"]
