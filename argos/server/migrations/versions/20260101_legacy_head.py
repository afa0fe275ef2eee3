"""The schema of 0.10.3, on which its users' databases stand.

A fresh database passes through it too, so that there is one way to the newest schema.
"""

import sqlalchemy as sa
from alembic import op

from argos.server.migrations.legacy_tables import (
    create_scratch_tables,
    described_columns,
)
from argos.server.migrations.types import big_id, create_enums, enum

revision = "f0b3ce75afa4"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_enums("severity", "status", "method", "ip_version_enum", "todo_enum")
    op.create_table(
        "tasks",
        *described_columns(),
        sa.Column("selected_by", sa.String()),
        sa.Column("selected_at", sa.DateTime()),
        sa.Column("completed_at", sa.DateTime()),
        sa.Column("next_run", sa.DateTime()),
        sa.Column("severity", enum("severity"), nullable=False),
        sa.Column("last_severity_update", sa.DateTime()),
        sa.Column("task_group", sa.String(), nullable=False),
        sa.Column(
            "already_retried", sa.Boolean(), nullable=False, server_default=sa.false()
        ),
        sa.Column(
            "contiguous_failures", sa.Integer(), nullable=False, server_default="0"
        ),
    )
    op.create_index("similar_tasks", "tasks", ["task_group"])
    op.create_table(
        "results",
        sa.Column("id", big_id, primary_key=True),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.String()),
        sa.Column("submitted_at", sa.DateTime(), nullable=False),
        sa.Column("status", enum("status"), nullable=False),
        sa.Column("severity", enum("severity"), nullable=False),
        sa.Column("context", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name="results_task_id_fkey", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "users",
        sa.Column("username", sa.String(), primary_key=True),
        sa.Column("password", sa.String(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("last_login_at", sa.DateTime()),
    )
    op.create_table(
        "config_cache",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("val", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("todo", enum("todo_enum"), nullable=False),
        sa.Column("args", sa.String(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("added_at", sa.DateTime(), nullable=False),
    )
    create_scratch_tables()


def downgrade() -> None:
    raise NotImplementedError("There is nothing before the schema of 0.10.3.")
