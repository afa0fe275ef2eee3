"""Column types as the revisions need them; frozen, unlike those of the models."""

from collections.abc import Mapping
from types import MappingProxyType

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

ENUMS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "severity": ("ok", "warning", "critical", "unknown"),
    "status": ("success", "failure", "error", "on-check"),
    "method": (
        *("GET", "HEAD", "POST", "OPTIONS", "CONNECT"),
        *("TRACE", "PUT", "PATCH", "DELETE"),
    ),
    "ip_version_enum": ("4", "6"),
    "todo_enum": ("RELOAD_CONFIG",),
    "event_kind": ("opened", "worsened", "closed"),
    "delivery_state": ("waiting", "sent", "dead"),
    "silence_kind": ("silence", "maintenance"),
})

big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
moment = sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")
"""`timestamptz`; on SQLite microseconds since 1970, UTC."""
document = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def is_postgresql() -> bool:
    """Whether the revision runs on PostgreSQL."""
    return op.get_bind().dialect.name == "postgresql"


def enum(name: str) -> sa.types.TypeEngine[str]:
    """An enum type that exists already (see `create_enums`)."""
    if is_postgresql():
        return postgresql.ENUM(*ENUMS[name], name=name, create_type=False)
    return sa.Enum(*ENUMS[name], name=name, create_constraint=False)


def create_enums(*names: str) -> None:
    """Create native enum types, where the database has such."""
    if is_postgresql():
        for name in names:
            postgresql.ENUM(*ENUMS[name], name=name).create(op.get_bind())


def drop_enums(*names: str) -> None:
    """Drop native enum types, where the database has such."""
    if is_postgresql():
        for name in names:
            postgresql.ENUM(*ENUMS[name], name=name).drop(op.get_bind())
