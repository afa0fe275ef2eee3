"""Results take no room for what they do not say: no facts, not late, no maintenance."""

import sqlalchemy as sa
from alembic import op

from argos.server.migrations.types import document

revision = "20261125_slim_results"
down_revision = "20261125_second_opinion"
branch_labels = None
depends_on = None

_FLAGS = ("is_late", "in_maintenance")


def upgrade() -> None:
    with op.batch_alter_table("results") as batch:
        batch.alter_column("context", nullable=True, existing_type=document)
        for flag in _FLAGS:
            batch.alter_column(
                flag, nullable=True, server_default=None, existing_type=sa.Boolean()
            )


def downgrade() -> None:
    op.execute("UPDATE results SET context = '{}' WHERE context IS NULL")
    for flag in _FLAGS:
        op.execute(f"UPDATE results SET {flag} = false WHERE {flag} IS NULL")  # noqa: S608  # names of columns
    with op.batch_alter_table("results") as batch:
        batch.alter_column("context", nullable=False, existing_type=document)
        for flag in _FLAGS:
            batch.alter_column(
                flag,
                nullable=False,
                server_default=sa.false(),
                existing_type=sa.Boolean(),
            )
