"""The parent of all tables, and the column types that they share."""

from sqlalchemy import (
    BigInteger,
    Index,
    Integer,
    MetaData,
    text,
)
from sqlalchemy.orm import DeclarativeBase

from argos.core.severity import Severity, Status
from argos.server.columns import text_enum

BigId = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up only columns that are declared INTEGER."""


SEVERITY = text_enum(Severity, "severity")
STATUS = text_enum(Status, "status")


class Base(DeclarativeBase):
    """The parent of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )


def partial_index(
    name: str, condition: str, *columns: str, unique: bool = False
) -> Index:
    """An index of the rows for which a condition holds: it costs others nothing."""
    where = text(condition)
    return Index(
        name, *columns, unique=unique, postgresql_where=where, sqlite_where=where
    )
