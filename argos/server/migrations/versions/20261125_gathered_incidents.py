"""Incidents with one cause under one parent; who knows of them, and what people say."""

import sqlalchemy as sa
from alembic import op

from argos.server.migrations.types import big_id, moment

revision = "20261125_gathered_incidents"
down_revision = "20261125_slim_results"
branch_labels = None
depends_on = None

_TEXTS = ("certificate", "address", "agent", "acknowledged_by")
_MOMENTS = ("acknowledged_at", "acknowledged_until")


def upgrade() -> None:
    op.add_column("incidents", sa.Column("parent_id", big_id))
    op.add_column("incidents", sa.Column("cause", sa.String(20)))
    for name in _TEXTS:
        op.add_column("incidents", sa.Column(name, sa.String()))
    for name in _MOMENTS:
        op.add_column("incidents", sa.Column(name, moment))
    op.create_index("ix_incidents_parent_id", "incidents", ["parent_id"])
    op.create_table(
        "incident_comments",
        sa.Column("id", big_id, primary_key=True),
        sa.Column("incident_id", big_id, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            ["incidents.id"],
            name="incident_comments_incident_id_fkey",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_incident_comments_incident_id", "incident_comments", ["incident_id"]
    )


def downgrade() -> None:
    op.drop_table("incident_comments")
    op.drop_index("ix_incidents_parent_id", "incidents")
    for name in ("parent_id", "cause", *_TEXTS, *_MOMENTS):
        op.drop_column("incidents", name)
