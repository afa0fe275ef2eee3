"""From which locations a check is watched, and how many must see a problem.

Going back leaves one task of each check, that of its first location.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261126_locations"
down_revision = "20261126_told_times"
branch_labels = None
depends_on = None

_IS_SPREAD = sa.text("watch_key IS NOT NULL")


def upgrade() -> None:
    op.add_column("schedule", sa.Column("location", sa.String()))
    op.add_column("tasks", sa.Column("location", sa.String()))
    op.add_column("tasks", sa.Column("quorum", sa.SmallInteger()))
    op.add_column("tasks", sa.Column("watch_key", sa.LargeBinary(16)))
    op.create_index(
        "ix_tasks_watch_key",
        "tasks",
        ["watch_key"],
        postgresql_where=_IS_SPREAD,
        sqlite_where=_IS_SPREAD,
    )


def downgrade() -> None:
    op.execute(
        sa.text(
            "DELETE FROM tasks WHERE EXISTS (SELECT 1 FROM tasks AS first"
            " WHERE first.watch_key = tasks.watch_key AND first.id < tasks.id)"
        )
    )
    op.drop_index("ix_tasks_watch_key", "tasks")
    for name in ("watch_key", "quorum", "location"):
        op.drop_column("tasks", name)
    op.drop_column("schedule", "location")
