"""Results that have no row, as they say nothing new: counted, and known by their leases."""

import sqlalchemy as sa
from alembic import op

from argos.server.migrations.types import moment

revision = "20261126_kept_results"
down_revision = "20261126_large_fleets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("kept_at", moment))
    op.add_column("tasks", sa.Column("kept_facts", sa.BigInteger()))
    op.add_column("tasks", sa.Column("left_out", sa.Integer()))
    op.add_column("tasks", sa.Column("unbroken_since", sa.Integer()))
    op.add_column("tasks", sa.Column("earlier_leases", sa.LargeBinary()))
    op.add_column("results", sa.Column("left_out", sa.Integer()))


def downgrade() -> None:
    op.drop_column("results", "left_out")
    for name in (
        *("earlier_leases", "unbroken_since", "left_out", "kept_facts", "kept_at"),
    ):
        op.drop_column("tasks", name)
