"""Indexes by which pages of a large fleet find what they show.

A trigger sees to it that an incident whose leader is deleted speaks for itself: so leaders
are known by their own row. Who rebuilds `incidents` on SQLite must make it anew.
"""

import sqlalchemy as sa
from alembic import op

from argos.server.migrations.types import is_postgresql

revision = "20261126_large_fleets"
down_revision = "20261126_agent_clock"
branch_labels = None
depends_on = None

_PARTIAL: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("ix_incidents_open", "incidents", ("severity", "opened_at", "id"),
     "closed_at IS NULL"),
    ("ix_incidents_closed", "incidents", ("opened_at", "id"), "closed_at IS NOT NULL"),
    ("ix_incidents_leading", "incidents", ("opened_at", "id"),
     "parent_id IS NULL AND closed_at IS NULL"),
    ("ix_incidents_led", "incidents", ("opened_at", "id"),
     "parent_id IS NULL AND closed_at IS NOT NULL"),
    ("ix_schedule_location", "schedule", ("location",), "location IS NOT NULL"),
    ("ix_schedule_stalled", "schedule", ("id",), "expired_leases >= 3"),
    ("ix_tasks_told_apart", "tasks", ("id",),
     "watch_key IS NOT NULL AND told_severity <> 'ok'"),
)  # fmt: skip
_BY_PARENT = (
    ("ix_incidents_parent_id_closed_at", ("parent_id", "closed_at")),
    ("ix_incidents_parent_id_opened_at", ("parent_id", "opened_at", "id")),
)
_FREE = "UPDATE incidents SET parent_id = NULL WHERE parent_id = OLD.id"


def upgrade() -> None:
    op.drop_index("ix_incidents_parent_id", "incidents")
    for name, by in _BY_PARENT:
        op.create_index(name, "incidents", list(by))
    op.drop_index("ix_incidents_opened_at", "incidents")
    op.execute(
        "UPDATE incidents SET parent_id = NULL WHERE parent_id IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM incidents AS p WHERE p.id = incidents.parent_id)"
    )
    for name, table, columns, condition in _PARTIAL:
        where = sa.text(condition)
        op.create_index(
            name, table, list(columns), postgresql_where=where, sqlite_where=where
        )
    if is_postgresql():
        op.execute(
            "CREATE FUNCTION free_incidents() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {_FREE}; RETURN NULL; END $$"
        )
        op.execute(
            "CREATE TRIGGER free_incidents AFTER DELETE ON incidents"
            " FOR EACH ROW EXECUTE FUNCTION free_incidents()"
        )
    else:
        op.execute(
            "CREATE TRIGGER free_incidents AFTER DELETE ON incidents"
            f" BEGIN {_FREE}; END"
        )


def downgrade() -> None:
    if is_postgresql():
        op.execute("DROP TRIGGER free_incidents ON incidents")
        op.execute("DROP FUNCTION free_incidents()")
    else:
        op.execute("DROP TRIGGER free_incidents")
    for name, table, _, _ in reversed(_PARTIAL):
        op.drop_index(name, table)
    op.create_index("ix_incidents_opened_at", "incidents", ["opened_at"])
    for name, _ in _BY_PARENT:
        op.drop_index(name, "incidents")
    op.create_index("ix_incidents_parent_id", "incidents", ["parent_id"])
