"""Silences, and deliveries that are kept back while something is silent."""

import sqlalchemy as sa
from alembic import op

from argos.server.migrations.types import (
    big_id,
    create_enums,
    document,
    drop_enums,
    enum,
    is_postgresql,
    moment,
)

revision = "20261125_silences"
down_revision = "20261125_agent_load"
branch_labels = None
depends_on = None

# Not of the state: a value that is new cannot be named in the same transaction.
_HELD = sa.text("held_until IS NOT NULL")


def upgrade() -> None:
    """Add the table, the state of deliveries and its columns."""
    create_enums("silence_kind")
    op.create_table(
        "silences",
        sa.Column("id", big_id, primary_key=True),
        sa.Column("kind", enum("silence_kind"), nullable=False),
        sa.Column("matcher", document, nullable=False),
        sa.Column("starts_at", moment, nullable=False),
        sa.Column("ends_at", moment, nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("ended_by", sa.String()),
    )
    op.create_index("ix_silences_ends_at", "silences", ["ends_at"])
    op.add_column("deliveries", sa.Column("held_until", moment))
    op.add_column("deliveries", sa.Column("held_by", sa.String()))
    op.add_column(
        "incidents",
        sa.Column("steps_told", sa.Integer(), nullable=False, server_default="0"),
    )
    if is_postgresql():
        op.execute("ALTER TYPE event_kind ADD VALUE IF NOT EXISTS 'lasting'")
        op.execute("ALTER TYPE delivery_state ADD VALUE IF NOT EXISTS 'held'")
    op.create_index(
        "ix_deliveries_held",
        "deliveries",
        ["held_until"],
        postgresql_where=_HELD,
        sqlite_where=_HELD,
    )


def downgrade() -> None:
    """Tell what was kept back; the enums keep their values, which nothing reads."""
    op.execute(sa.text("DELETE FROM events WHERE kind = 'lasting'"))
    op.drop_column("incidents", "steps_told")
    op.drop_index("ix_deliveries_held", "deliveries")
    op.execute(sa.text("UPDATE deliveries SET state = 'waiting' WHERE state = 'held'"))
    op.drop_column("deliveries", "held_by")
    op.drop_column("deliveries", "held_until")
    op.drop_table("silences")
    drop_enums("silence_kind")
