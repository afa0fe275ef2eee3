"""Moments as 0.10.3 stores them: naive, in the time zone of the server's host."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

from argos.server.columns import from_epoch_us, to_epoch_us
from argos.server.migrations.types import is_postgresql, moment

ZONE_KEY = "legacy_zone"
"""Where the runner puts the zone's name, in Alembic's config attributes."""


def host_zone() -> str:
    """The name of the host's time zone, as the standard C library finds it."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name:
        parts = Path("/etc/localtime").resolve().parts
        if "zoneinfo" in parts:
            name = "/".join(parts[parts.index("zoneinfo") + 1 :])
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return "UTC"
    return name


def naive_to_epoch_us(value: str | int | None, zone: str) -> int | None:
    """A naive local text as microseconds since 1970; a number is one already."""
    if value is None or isinstance(value, int):
        return value
    local = datetime.fromisoformat(value).replace(tzinfo=ZoneInfo(zone))
    return to_epoch_us(local.astimezone(UTC))


def epoch_us_to_naive(value: int | None, zone: str) -> str | None:
    """Microseconds since 1970 as the naive local text that 0.10.3 reads."""
    if value is None:
        return None
    local = from_epoch_us(value).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return local.isoformat(sep=" ", timespec="microseconds")


def _zone() -> str:
    zone = op.get_context().config.attributes.get(ZONE_KEY)  # type: ignore[union-attr]  # we always run with a config
    return zone or host_zone()


def convert_to_utc(table: str, *columns: str) -> None:
    """Turn naive local columns into aware ones."""
    zone = _zone()
    if is_postgresql():
        for column in columns:
            op.alter_column(
                table,
                column,
                type_=moment,
                postgresql_using=f"\"{column}\" AT TIME ZONE '{zone}'",
            )
        return
    _rewrite_in_sqlite(table, columns, "argos_to_us", naive_to_epoch_us, zone)
    with op.batch_alter_table(table) as batch:
        for column in columns:
            batch.alter_column(column, type_=sa.BigInteger())


def convert_to_naive(table: str, *columns: str) -> None:
    """Turn aware columns back into what 0.10.3 reads."""
    zone = _zone()
    if is_postgresql():
        for column in columns:
            op.alter_column(
                table,
                column,
                type_=sa.DateTime(),
                postgresql_using=f"\"{column}\" AT TIME ZONE '{zone}'",
            )
        return
    # The type first: remaking the table casts, and would make a number of a text.
    with op.batch_alter_table(table) as batch:
        for column in columns:
            batch.alter_column(column, type_=sa.DateTime())
    _rewrite_in_sqlite(table, columns, "argos_to_naive", epoch_us_to_naive, zone)


def _rewrite_in_sqlite(
    table: str,
    columns: tuple[str, ...],
    name: str,
    function: Callable[..., object],
    zone: str,
) -> None:
    raw = op.get_bind().connection.dbapi_connection
    assert raw is not None
    raw.create_function(
        name, 1, lambda value: function(value, zone), deterministic=True
    )
    for column in columns:
        op.execute(
            sa.text(f'UPDATE "{table}" SET "{column}" = {name}("{column}")')  # noqa: S608  # names from our own revisions
        )
