"""The queue, incidents, agents and sessions beside the tables of 0.10.3.

Moments become aware; the queue's columns move from `tasks` into `schedule`; on
PostgreSQL `results` is cut into days. Going back keeps tasks, results and users.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from argos.server.migrations.foundation_data import (
    copy_schedule_back,
    fill_schedule,
    forget_config_cache,
    keep_open_incidents,
)
from argos.server.migrations.foundation_tables import (
    create_tables,
    create_view,
    drop_tables,
    drop_view,
    rebuild_results,
    restore_results,
)
from argos.server.migrations.legacy_tables import create_scratch_tables
from argos.server.migrations.legacy_time import convert_to_naive, convert_to_utc
from argos.server.migrations.types import (
    big_id,
    create_enums,
    drop_enums,
    enum,
    is_postgresql,
    moment,
)

revision = "20261123_foundation"
down_revision = "f0b3ce75afa4"
branch_labels = None
depends_on = None

_NOT_OK = sa.text("severity <> 'ok' AND archived_at IS NULL")
_TASK_TIMES = ("completed_at", "last_severity_update")
_QUEUE_TIMES = ("selected_at", "next_run")


def _task_columns() -> list[sa.Column[Any]]:
    zero = sa.text("0")
    return [
        sa.Column("key", sa.LargeBinary(16)),
        sa.Column("website_id", big_id),
        sa.Column("group_id", big_id),
        sa.Column("archived_at", moment),
        sa.Column("severity_since", moment),
        sa.Column("failing_since", moment),
        sa.Column(
            "applied_lease_no", sa.Integer(), nullable=False, server_default=zero
        ),
        sa.Column("event_count", sa.Integer(), nullable=False, server_default=zero),
        sa.Column("last_status", enum("status")),
        sa.Column(
            "told_severity", enum("severity"), nullable=False, server_default="ok"
        ),
    ]


def upgrade() -> None:
    op.drop_table("tasks_tmp")
    op.drop_table("blocked_tokens")
    convert_to_utc("tasks", *_TASK_TIMES, *_QUEUE_TIMES)
    convert_to_utc("users", "created_at", "updated_at", "last_login_at")
    convert_to_utc("config_cache", "updated_at")
    convert_to_utc("jobs", "added_at")
    create_enums("event_kind", "delivery_state")
    _add_task_columns()
    create_tables()
    fill_schedule()
    _finish_tasks()
    convert_to_utc("results", "submitted_at")
    rebuild_results()
    keep_open_incidents()
    create_view()


def _add_task_columns() -> None:
    if is_postgresql():
        op.alter_column("tasks", "id", type_=sa.BigInteger())
    with op.batch_alter_table("tasks") as batch:
        for column in _task_columns():
            batch.add_column(column)


def _finish_tasks() -> None:
    with op.batch_alter_table("tasks") as batch:
        batch.alter_column("key", nullable=False, existing_type=sa.LargeBinary(16))
        batch.create_unique_constraint("uq_tasks_key", ["key"])
        batch.create_foreign_key(
            "tasks_website_id_fkey",
            "websites",
            ["website_id"],
            ["id"],
            ondelete="SET NULL",
        )
        batch.create_foreign_key(
            "tasks_group_id_fkey", "schedule", ["group_id"], ["id"], ondelete="SET NULL"
        )
        for column in ("selected_by", *_QUEUE_TIMES):
            batch.drop_column(column)
    op.create_index("ix_tasks_website_id", "tasks", ["website_id"])
    op.create_index("ix_tasks_group_id", "tasks", ["group_id"])
    op.create_index(
        "ix_tasks_not_ok",
        "tasks",
        ["severity", "website_id"],
        postgresql_where=_NOT_OK,
        sqlite_where=_NOT_OK,
    )
    if is_postgresql():
        op.execute("ALTER TABLE tasks SET (fillfactor = 70)")


def downgrade() -> None:
    drop_view()
    op.execute(sa.text("DELETE FROM tasks WHERE archived_at IS NOT NULL"))
    forget_config_cache()
    restore_results()
    convert_to_naive("results", "submitted_at")
    with op.batch_alter_table("tasks") as batch:
        batch.add_column(sa.Column("selected_by", sa.String()))
        batch.add_column(sa.Column("selected_at", moment))
        batch.add_column(sa.Column("next_run", moment))
    copy_schedule_back()
    drop_tables("deliveries", "events", "incidents")
    _drop_task_columns()
    drop_tables(*(
        "schedule",
        "websites",
        "agents",
        "duties",
        "sessions",
        "login_buckets",
    ))
    drop_enums("event_kind", "delivery_state")
    convert_to_naive("tasks", *_TASK_TIMES, *_QUEUE_TIMES)
    convert_to_naive("users", "created_at", "updated_at", "last_login_at")
    convert_to_naive("config_cache", "updated_at")
    convert_to_naive("jobs", "added_at")
    create_scratch_tables()


def _drop_task_columns() -> None:
    for index in ("ix_tasks_not_ok", "ix_tasks_group_id", "ix_tasks_website_id"):
        op.drop_index(index, "tasks")
    with op.batch_alter_table("tasks") as batch:
        batch.drop_constraint("tasks_group_id_fkey", type_="foreignkey")
        batch.drop_constraint("tasks_website_id_fkey", type_="foreignkey")
        batch.drop_constraint("uq_tasks_key", type_="unique")
        for column in _task_columns():
            batch.drop_column(column.name)
    if is_postgresql():
        op.alter_column("tasks", "id", type_=sa.Integer())
        op.execute("ALTER TABLE tasks RESET (fillfactor)")
