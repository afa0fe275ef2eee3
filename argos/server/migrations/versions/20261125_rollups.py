"""Rollups: counts per day and hour of each task, response times of each task group.

The counts of what is stored already are made up; response times begin anew.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from argos.core.rollup import HOURS, Counts, Kind, pack
from argos.core.severity import Severity
from argos.server.migrations.types import big_id, is_postgresql, moment

revision = "20261125_rollups"
down_revision = "20261125_delivery"
branch_labels = None
depends_on = None

_CHUNK_ROWS = 5_000
_KINDS = ("ok", "warning", "critical", "unknown", "maintenance")


def upgrade() -> None:
    _create_tables()
    for table, tally in (("tasks", "open_counts"), ("schedule", "open_latencies")):
        op.add_column(table, sa.Column("open_hour", sa.Integer()))
        op.add_column(table, sa.Column(tally, sa.LargeBinary()))
    op.add_column(
        "results",
        sa.Column(
            "in_maintenance", sa.Boolean(), nullable=False, server_default=sa.false()
        ),
    )
    _count_stored_results()


def _create_tables() -> None:
    op.create_table(
        "task_days",
        sa.Column(
            "task_id",
            big_id,
            sa.ForeignKey(
                "tasks.id", name="task_days_task_id_fkey", ondelete="CASCADE"
            ),
            primary_key=True,
        ),
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        *(sa.Column(kind, sa.Integer(), nullable=False) for kind in _KINDS),
        sa.Column("hours", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "group_days",
        sa.Column("group_key", sa.LargeBinary(16), primary_key=True),
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("latencies", sa.LargeBinary(), nullable=False),
        sa.Column("hours", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "gaps",
        sa.Column("group_key", sa.LargeBinary(16), primary_key=True),
        sa.Column("begin", moment, primary_key=True),
        sa.Column("end", moment, nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )


def _count_stored_results() -> None:
    columns = ("task_id", "day", *_KINDS, "hours")
    task_days = sa.table("task_days", *(sa.column(name) for name in columns))
    rows = []
    for task_id, day, counts in _stored_days():
        by_kind: dict[int, int] = {}
        for number, count in counts.items():
            kind = number % len(Kind)
            by_kind[kind] = by_kind.get(kind, 0) + count
        days = (task_id, day, *Counts.of(by_kind), pack(counts))
        rows.append(dict(zip(columns, days, strict=True)))
        if len(rows) == _CHUNK_ROWS:
            op.get_bind().execute(sa.insert(task_days), rows)
            rows = []
    if rows:
        op.get_bind().execute(sa.insert(task_days), rows)


def _stored_days() -> Iterator[tuple[int, int, dict[int, int]]]:
    """Each task's days, with the counts by hour and kind."""
    hour = "submitted_at / 3600000000"
    if is_postgresql():
        hour = "CAST(floor(extract(epoch FROM submitted_at) / 3600) AS integer)"
    rows = op.get_bind().execute(
        sa.text(
            f"SELECT task_id, {hour} AS hour, severity, count(*) FROM results"  # noqa: S608  # an expression of ours
            " GROUP BY 1, 2, 3 ORDER BY 1, 2"
        )
    )
    known: tuple[int, int] | None = None
    counts: dict[int, int] = {}
    for task_id, number, severity, count in rows.fetchall():
        if known != (task_id, number // HOURS):
            if known is not None:
                yield *known, counts
            known, counts = (task_id, number // HOURS), {}
        kind = Kind.of(Severity(severity))
        counts[number % HOURS * len(Kind) + kind] = count
    if known is not None:
        yield *known, counts


def downgrade() -> None:
    op.drop_column("results", "in_maintenance")
    for table, tally in (("tasks", "open_counts"), ("schedule", "open_latencies")):
        op.drop_column(table, tally)
        op.drop_column(table, "open_hour")
    for table in ("gaps", "group_days", "task_days"):
        op.drop_table(table)
