"""Messages that carry several deliveries, and what is remembered of recipients."""

import sqlalchemy as sa
from alembic import op

from argos.server.migrations.types import moment

revision = "20261125_delivery"
down_revision = "20261123_foundation"
branch_labels = None
depends_on = None

_WAITING = sa.text("state = 'waiting'")
_DEAD = sa.text("state = 'dead'")


def upgrade() -> None:
    """Add the columns, their indexes, and the table of recipients."""
    op.add_column("deliveries", sa.Column("batch_id", sa.String()))
    op.add_column("deliveries", sa.Column("dropped_at", moment))
    op.create_index("ix_deliveries_batch_id", "deliveries", ["batch_id"])
    op.create_index(
        "ix_deliveries_recipient_waiting",
        "deliveries",
        ["recipient", "id"],
        postgresql_where=_WAITING,
        sqlite_where=_WAITING,
    )
    op.create_index(
        "ix_deliveries_dead",
        "deliveries",
        ["id"],
        postgresql_where=_DEAD,
        sqlite_where=_DEAD,
    )
    # What was sent before bore its own id.
    op.execute("UPDATE deliveries SET batch_id = message_id WHERE attempts > 0")
    _create_targets()


def _create_targets() -> None:
    op.create_table(
        "delivery_targets",
        sa.Column("recipient", sa.String(), primary_key=True),
        sa.Column("next_at", moment),
        sa.Column("flushed_at", moment),
        sa.Column("streak", sa.Integer(), nullable=False),
        sa.Column("was_digest", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", moment),
        sa.Column("sent_at", moment),
        sa.Column("last_error", sa.String()),
        sa.Column("is_given_up", sa.Boolean(), nullable=False),
    )


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("delivery_targets")
    op.drop_index("ix_deliveries_dead", "deliveries")
    op.drop_index("ix_deliveries_recipient_waiting", "deliveries")
    op.drop_index("ix_deliveries_batch_id", "deliveries")
    # SQLite before 3.35 cannot drop a column; Alembic copies the table there.
    with op.batch_alter_table("deliveries") as table:
        table.drop_column("dropped_at")
        table.drop_column("batch_id")
