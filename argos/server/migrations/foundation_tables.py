"""The tables that the foundation revision makes and drops."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from argos.server.migrations.types import big_id, document, enum, is_postgresql, moment

_WAITING = sa.text("state = 'waiting'")
_OPEN = sa.text("closed_at IS NULL")
_TIMINGS = (
    *("dns_us", "connect_us", "tls_us", "first_byte_us"),
    *("transfer_us", "total_us", "timing_error_us"),
)


def create_tables() -> None:
    """Create what is new."""
    _create_queue()
    _create_incidents()
    _create_agents()
    _create_sessions()


def _create_queue() -> None:
    op.create_table(
        "websites",
        sa.Column("id", big_id, primary_key=True),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("name", sa.String()),
        sa.Column("group_name", sa.String()),
        sa.Column("tags", document),
        sa.Column("archived_at", moment),
        sa.UniqueConstraint("domain", name="uq_websites_domain"),
    )
    op.create_index("ix_websites_host", "websites", ["host"])
    op.create_table(
        "schedule",
        sa.Column("id", big_id, primary_key=True),
        sa.Column("key", sa.LargeBinary(16), nullable=False),
        sa.Column("pool", sa.SmallInteger(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("frequency", sa.Float(53), nullable=False),
        sa.Column("timeout_s", sa.Float(53), nullable=False),
        sa.Column("next_run", moment),
        sa.Column("due_at", moment, nullable=False),
        sa.Column("lease_no", sa.Integer(), nullable=False),
        sa.Column("leased_by", sa.String()),
        sa.Column("leased_at", moment),
        sa.Column("missed_runs", sa.Integer(), nullable=False),
        sa.Column(
            "expired_leases", sa.SmallInteger(), nullable=False, server_default="0"
        ),
        sa.UniqueConstraint("key", name="uq_schedule_key"),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "ix_schedule_pool_shard_due_at", "schedule", ["pool", "shard", "due_at"]
    )


def _create_incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", big_id, primary_key=True),
        _reference("task_id", "tasks"),
        sa.Column("opened_at", moment, nullable=False),
        sa.Column("closed_at", moment),
        sa.Column("severity", enum("severity"), nullable=False),
    )
    op.create_index("ix_incidents_task_id", "incidents", ["task_id"])
    op.create_index("ix_incidents_opened_at", "incidents", ["opened_at"])
    op.create_index(
        "uq_incidents_open_task_id",
        "incidents",
        ["task_id"],
        unique=True,
        postgresql_where=_OPEN,
        sqlite_where=_OPEN,
    )
    op.create_table(
        "events",
        sa.Column("id", big_id, primary_key=True),
        _reference("task_id", "tasks"),
        sa.Column("seq", sa.Integer(), nullable=False),
        _reference("incident_id", "incidents"),
        sa.Column("kind", enum("event_kind"), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("severity", enum("severity"), nullable=False),
        sa.Column("previous_severity", enum("severity"), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("status", enum("status"), nullable=False),
        sa.Column("agent_id", sa.String()),
        sa.Column("facts", document, nullable=False),
        sa.UniqueConstraint("task_id", "seq", name="uq_events_task_id_seq"),
    )
    op.create_index("ix_events_incident_id", "events", ["incident_id"])
    op.create_table(
        "deliveries",
        sa.Column("id", big_id, primary_key=True),
        _reference("event_id", "events", nullable=True),
        sa.Column("notice", document),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("state", enum("delivery_state"), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("due_at", moment, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String()),
        sa.Column("sent_at", moment),
        sa.Column("last_error", sa.String()),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.UniqueConstraint("message_id", name="uq_deliveries_message_id"),
    )
    op.create_index("ix_deliveries_event_id", "deliveries", ["event_id"])
    op.create_index(
        "ix_deliveries_waiting",
        "deliveries",
        ["due_at"],
        postgresql_where=_WAITING,
        sqlite_where=_WAITING,
    )


def _create_agents() -> None:
    op.create_table(
        "agents",
        sa.Column("id", big_id, primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("token_id", sa.String()),
        sa.Column("token_digest", sa.LargeBinary(32)),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("revoked_at", moment),
        sa.Column("last_seen_at", moment),
        sa.Column("address", sa.String()),
        sa.Column("version", sa.String()),
        sa.Column("capabilities", document),
        sa.Column("slots", sa.Integer()),
        sa.Column("busy", sa.Integer()),
        sa.Column("spooled", sa.Integer()),
        sa.UniqueConstraint("name", name="uq_agents_name"),
        sa.UniqueConstraint("token_id", name="uq_agents_token_id"),
    )
    op.create_table(
        "duties",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("term", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String()),
        sa.Column("due_at", moment, nullable=False),
        sa.Column("finished_at", moment),
        sa.Column("note", document),
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column(
            "username",
            sa.String(),
            sa.ForeignKey(
                "users.username", name="sessions_username_fkey", ondelete="CASCADE"
            ),
            nullable=False,
        ),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("seen_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("address", sa.String()),
        sa.Column("user_agent", sa.String()),
    )
    op.create_index("ix_sessions_username", "sessions", ["username"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "login_buckets",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("tokens", sa.Float(53), nullable=False),
        sa.Column("updated_at", moment, nullable=False),
    )


def _reference(column: str, table: str, *, nullable: bool = False) -> sa.Column[int]:
    constraint = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(column, big_id, constraint, nullable=nullable)


def drop_tables(*names: str) -> None:
    """Drop tables with their indexes."""
    for name in names:
        op.drop_table(name)


def rebuild_results() -> None:
    """Give `results` its timings and its key, and on PostgreSQL its days."""
    op.rename_table("results", "results_before")
    # 0.10.3 has none, and without it each result would be compared with all others.
    op.execute("CREATE INDEX results_moments ON results_before (task_id, submitted_at)")
    if is_postgresql():
        _create_partitioned_results()
    else:
        op.create_table(
            "results",
            sa.Column("id", big_id, primary_key=True),
            _reference("task_id", "tasks"),
            *_result_columns(),
            sa.UniqueConstraint(
                "task_id", "submitted_at", name="uq_results_task_id_submitted_at"
            ),
        )
    # Two results of one moment cannot be told apart: the later id stays.
    op.execute(
        sa.text(
            "INSERT INTO results"
            " (id, task_id, agent_id, submitted_at, status, severity, context)"
            " SELECT id, task_id, agent_id, submitted_at, status, severity, context"
            " FROM results_before b WHERE NOT EXISTS (SELECT 1 FROM results_before n"
            " WHERE n.task_id = b.task_id AND n.submitted_at = b.submitted_at"
            " AND n.id > b.id)"
        )
    )
    op.drop_table("results_before")
    if is_postgresql():
        op.execute(
            "SELECT setval('results_id_seq', coalesce(max(id), 0) + 1, false)"
            " FROM results"
        )


def _result_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("agent_id", sa.String()),
        sa.Column("submitted_at", moment, nullable=False),
        sa.Column("received_at", moment),
        sa.Column("status", enum("status"), nullable=False),
        sa.Column("severity", enum("severity"), nullable=False),
        sa.Column("context", document, nullable=False),
        sa.Column("is_late", sa.Boolean(), nullable=False, server_default=sa.false()),
        *(sa.Column(name, sa.Integer()) for name in _TIMINGS),
    ]


def _create_partitioned_results() -> None:
    # Freed first: the sequence and the constraint of 0.10.3 have our names.
    op.execute("ALTER TABLE results_before ALTER id DROP DEFAULT")
    op.execute("DROP SEQUENCE IF EXISTS results_id_seq CASCADE")
    op.execute("CREATE SEQUENCE results_id_seq")
    op.create_table(
        "results",
        sa.Column(
            "id",
            sa.BigInteger(),
            server_default=sa.text("nextval('results_id_seq')"),
            nullable=False,
        ),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        *_result_columns(),
        sa.UniqueConstraint(
            "task_id", "submitted_at", name="uq_results_task_id_submitted_at"
        ),
        postgresql_partition_by="RANGE (submitted_at)",
    )
    op.execute("ALTER SEQUENCE results_id_seq OWNED BY results.id")
    # Rows come in the order of their ids: a block-range index finds one for nothing.
    op.execute(
        "CREATE INDEX ix_results_id ON results USING brin (id)"
        " WITH (autosummarize = on)"
    )
    op.execute("CREATE TABLE results_default PARTITION OF results DEFAULT")
    op.execute(
        """
        DO $$ DECLARE day date; BEGIN
          FOR day IN SELECT generate_series(
            coalesce((SELECT min(submitted_at) AT TIME ZONE 'UTC' FROM results_before),
                     now() AT TIME ZONE 'UTC')::date,
            (now() AT TIME ZONE 'UTC')::date + 3, '1 day')::date
          LOOP EXECUTE format(
            'CREATE TABLE %I PARTITION OF results FOR VALUES FROM (%L) TO (%L)',
            'results_' || to_char(day, 'YYYYMMDD'),
            day::timestamp AT TIME ZONE 'UTC',
            (day + 1)::timestamp AT TIME ZONE 'UTC');
          END LOOP;
        END $$
        """
    )
    # In place of a foreign key, which would cost every insert a row lock on its task.
    op.execute(
        """
        CREATE FUNCTION delete_results_of_task() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN DELETE FROM results WHERE task_id = OLD.id; RETURN OLD; END $$
        """
    )
    op.execute(
        "CREATE TRIGGER delete_results BEFORE DELETE ON tasks"
        " FOR EACH ROW EXECUTE FUNCTION delete_results_of_task()"
    )


def restore_results() -> None:
    """Make `results` again what 0.10.3 knows."""
    if is_postgresql():
        op.execute("DROP TRIGGER delete_results ON tasks")
        op.execute("DROP FUNCTION delete_results_of_task()")
        op.execute("ALTER TABLE results ALTER id DROP DEFAULT")
        op.execute("ALTER SEQUENCE results_id_seq OWNED BY NONE")
    op.rename_table("results", "results_after")
    serial = sa.Column("id", big_id, primary_key=True)
    if is_postgresql():
        default = sa.text("nextval('results_id_seq')")
        serial = sa.Column(
            "id", sa.BigInteger(), primary_key=True, server_default=default
        )
    op.create_table(
        "results",
        serial,
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.String()),
        sa.Column("submitted_at", moment, nullable=False),
        sa.Column("status", enum("status"), nullable=False),
        sa.Column("severity", enum("severity"), nullable=False),
        sa.Column("context", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name="results_task_id_fkey", ondelete="CASCADE"
        ),
    )
    op.execute(
        sa.text(
            "INSERT INTO results"
            " (id, task_id, agent_id, submitted_at, status, severity, context)"
            " SELECT id, task_id, agent_id, submitted_at, status, severity, context"
            " FROM results_after WHERE task_id IN (SELECT id FROM tasks)"
        )
    )
    op.drop_table("results_after")
    if is_postgresql():
        op.execute("ALTER SEQUENCE results_id_seq OWNED BY results.id")


def create_view() -> None:
    """Create `tasks_view`: the given columns of a task in one place, for people."""
    op.execute(
        """
        CREATE VIEW tasks_view AS
        SELECT t.id, t.url, t.domain, t."check", t.expected, t.frequency,
               CASE WHEN s.leased_at IS NOT NULL THEN s.leased_by END AS selected_by,
               s.leased_at AS selected_at, t.completed_at, s.next_run,
               t.severity, t.last_severity_update, t.ip_version, t.method,
               t.request_data, t.recheck_delay, t.already_retried,
               t.retry_before_notification, t.contiguous_failures, t.task_group,
               t.add_alerts_recipients, t.overwrite_alerts_recipients, t.archived_at
        FROM tasks t LEFT JOIN schedule s ON s.id = t.group_id
        """
    )


def drop_view() -> None:
    """Drop `tasks_view`."""
    op.execute("DROP VIEW tasks_view")
