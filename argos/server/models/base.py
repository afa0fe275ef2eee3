"""The parent of all tables, and the column types that they share."""

from sqlalchemy import (
    BigInteger,
    Integer,
    MetaData,
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
