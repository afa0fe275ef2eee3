"""Column types that mean the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, DateTime, Dialect, Enum
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_epoch_us(moment: datetime) -> int:
    """Microseconds since 1970, exactly; refuses a naive moment with a TypeError."""
    return (moment - _EPOCH) // _MICROSECOND


def from_epoch_us(microseconds: int) -> datetime:
    """The aware UTC moment so many microseconds after 1970."""
    return _EPOCH + microseconds * _MICROSECOND


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment: `timestamptz` on PostgreSQL, microseconds since 1970 on SQLite.

    A number keeps its order and its last digit in an index, at a third of a text's size.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; moments are aware, in UTC")
        return to_epoch_us(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return from_epoch_us(value)
        moment: datetime = value
        return moment.astimezone(UTC)


JsonDocument = JSON(none_as_null=True).with_variant(
    JSONB(none_as_null=True), "postgresql"
)
"""A JSON object or list; Python's None is the database's NULL."""


class Facts(TypeDecorator[dict[str, Any]]):
    """A JSON object that takes no room where it is empty."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kind = JSONB if dialect.name == "postgresql" else JSON
        return dialect.type_descriptor(kind(none_as_null=True))

    def process_bind_param(self, value: dict[str, Any] | None, _: Dialect) -> Any:
        return value or None

    def process_result_value(self, value: Any, _: Dialect) -> dict[str, Any]:
        return value or {}


class Flag(TypeDecorator[bool]):
    """A truth that is mostly false, and takes no room then: NULL."""

    impl = Boolean
    cache_ok = True

    def process_bind_param(self, value: bool | None, _: Dialect) -> bool | None:
        return value or None

    def process_result_value(self, value: bool | None, _: Dialect) -> bool:
        return bool(value)


def text_enum(members: type[StrEnum], name: str) -> Enum:
    """A native enum on PostgreSQL, a text on SQLite; stored by value."""
    return Enum(
        members,
        name=name,
        values_callable=lambda enum: [member.value for member in enum],
        create_constraint=False,
    )
