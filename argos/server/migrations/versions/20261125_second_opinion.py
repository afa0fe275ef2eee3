"""What tasks remember of their runs, and agents of their standing.

A database from before begins with an empty history; nothing is told because of that.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from argos.server.migrations.types import is_postgresql, moment

revision = "20261125_second_opinion"
down_revision = "20261125_probe_options"
branch_labels = None
depends_on = None

_CONFIRMING = sa.text("confirming_since IS NOT NULL")


def _columns() -> dict[str, list[sa.Column[Any]]]:
    zero = sa.text("0")
    return {
        "tasks": [
            sa.Column(
                "recoveries_before_notification",
                sa.Integer(),
                nullable=False,
                server_default=zero,
            ),
            sa.Column(
                "confirm", sa.Boolean(), nullable=False, server_default=sa.true()
            ),
            sa.Column(
                "contiguous_successes",
                sa.Integer(),
                nullable=False,
                server_default=zero,
            ),
            sa.Column("run_history", sa.Integer(), nullable=False, server_default="1"),
            sa.Column(
                "is_flapping", sa.Boolean(), nullable=False, server_default=sa.false()
            ),
            sa.Column("seen_by", sa.String()),
            sa.Column("confirming_since", moment),
            sa.Column("doubted_agent", sa.String()),
            sa.Column("doubted_since", moment),
        ],
        "schedule": [
            sa.Column("not_for", sa.String()),
            sa.Column("not_at", sa.String()),
        ],
        "agents": [
            sa.Column("location", sa.String()),
            sa.Column("suspect_since", moment),
            sa.Column("suspect_reason", sa.String()),
        ],
    }


def upgrade() -> None:
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    op.create_index(
        "ix_tasks_confirming",
        "tasks",
        ["confirming_since"],
        postgresql_where=_CONFIRMING,
        sqlite_where=_CONFIRMING,
    )
    if is_postgresql():
        for kind in ("flapping", "steady"):
            op.execute(f"ALTER TYPE event_kind ADD VALUE IF NOT EXISTS '{kind}'")


def downgrade() -> None:
    # The enum keeps its values: PostgreSQL takes none away, and nothing reads them.
    op.execute(sa.text("DELETE FROM events WHERE kind IN ('flapping', 'steady')"))
    op.drop_index("ix_tasks_confirming", "tasks")
    for table, columns in _columns().items():
        for column in columns:
            op.drop_column(table, column.name)
