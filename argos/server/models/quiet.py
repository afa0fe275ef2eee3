"""Times in which people are left in peace, made by hand; the config has others."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from argos.server.columns import JsonDocument, UtcDateTime, text_enum
from argos.server.models.base import Base, BigId


class SilenceKind(StrEnum):
    """What a silence says of the time it covers."""

    SILENCE = "silence"
    """Nobody is told; what is measured counts as ever."""
    MAINTENANCE = "maintenance"
    """Nobody is told, and the time is neither up nor down."""


class Silence(Base):
    """From when to when nobody is told of what matches."""

    __tablename__ = "silences"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[SilenceKind] = mapped_column(text_enum(SilenceKind, "silence_kind"))
    matcher: Mapped[dict[str, Any]] = mapped_column(JsonDocument)
    """The fields of `argos.core.matching.Matcher`, without the empty ones."""
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it ends by itself; set to the moment at which somebody ended it."""
    comment: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str]
    ended_by: Mapped[str | None]

    # list_silences
    __table_args__ = (Index("ix_silences_ends_at", "ends_at"),)
