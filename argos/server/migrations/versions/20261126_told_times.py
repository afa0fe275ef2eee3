"""When each message of the last two minutes was told, instead of how many there were."""

import sqlalchemy as sa
from alembic import op

from argos.server.migrations.types import document, moment

revision = "20261126_told_times"
down_revision = "20261125_silences"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery_targets", sa.Column("told_at", document))
    op.drop_column("delivery_targets", "streak")
    op.drop_column("delivery_targets", "flushed_at")


def downgrade() -> None:
    op.add_column("delivery_targets", sa.Column("flushed_at", moment))
    op.add_column(
        "delivery_targets",
        sa.Column("streak", sa.Integer(), nullable=False, server_default="0"),
    )
    op.drop_column("delivery_targets", "told_at")
