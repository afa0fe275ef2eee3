"""Parts of the schema of 0.10.3 that are made going forth and going back."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from argos.server.migrations.types import enum


def create_scratch_tables() -> None:
    """Create the two tables that only 0.10.3 uses."""
    op.create_table(
        "blocked_tokens",
        sa.Column("token", sa.String(), primary_key=True),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("excluded_at", sa.DateTime(), nullable=False),
    )
    op.create_table("tasks_tmp", *described_columns())


def described_columns() -> list[sa.Column[Any]]:
    """The columns that `tasks` and `tasks_tmp` share."""
    return [
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("check", sa.String(), nullable=False),
        sa.Column("expected", sa.String(), nullable=False),
        sa.Column("frequency", sa.Float(53), nullable=False),
        sa.Column("recheck_delay", sa.Float(53)),
        sa.Column("method", enum("method"), nullable=False, server_default="GET"),
        sa.Column(
            "ip_version", enum("ip_version_enum"), nullable=False, server_default="4"
        ),
        sa.Column(
            "retry_before_notification",
            sa.Integer(),
            nullable=False,
            server_default="0",
        ),
        sa.Column("request_data", sa.String()),
        sa.Column("add_alerts_recipients", sa.String()),
        sa.Column("overwrite_alerts_recipients", sa.String()),
    ]
