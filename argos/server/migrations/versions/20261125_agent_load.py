"""How busy each agent is."""

import sqlalchemy as sa
from alembic import op

revision = "20261125_agent_load"
down_revision = "20261125_gathered_incidents"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agents", sa.Column("waiting", sa.Integer))
    op.add_column("agents", sa.Column("cpu_percent", sa.Float(53)))
    op.add_column("agents", sa.Column("lag_ms", sa.Float(53)))
    op.add_column("agents", sa.Column("is_over_budget", sa.Boolean))


def downgrade() -> None:
    for name in ("is_over_budget", "lag_ms", "cpu_percent", "waiting"):
        op.drop_column("agents", name)
