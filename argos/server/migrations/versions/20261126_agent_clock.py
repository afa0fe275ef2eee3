"""By how much each agent's clock is off."""

import sqlalchemy as sa
from alembic import op

revision = "20261126_agent_clock"
down_revision = "20261126_locations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agents", sa.Column("clock_offset_s", sa.Float(53)))


def downgrade() -> None:
    op.drop_column("agents", "clock_offset_s")
