"""Probe options of task groups.

Going back drops the options, and the tasks that nothing but them tells from another one.
"""

import sqlalchemy as sa
from alembic import op

from argos.server.migrations.types import document

revision = "20261125_probe_options"
down_revision = "20261125_rollups"
branch_labels = None
depends_on = None

_SAME = " AND ".join(
    f"(first.{column} = tasks.{column}"
    f" OR (first.{column} IS NULL AND tasks.{column} IS NULL))"
    for column in (
        *("url", "method", "request_data", '"check"', "expected", "ip_version"),
        "archived_at",
    )
)


def upgrade() -> None:
    op.add_column("schedule", sa.Column("options", document))


def downgrade() -> None:
    op.execute(
        sa.text(
            "DELETE FROM tasks WHERE group_id IN"  # noqa: S608  # a constant of ours
            " (SELECT id FROM schedule WHERE options IS NOT NULL)"
            f" AND EXISTS (SELECT 1 FROM tasks AS first WHERE {_SAME}"
            " AND first.id < tasks.id)"
        )
    )
    op.drop_column("schedule", "options")
