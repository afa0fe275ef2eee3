"""Agents, housework and what is known of the config."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Float,
    LargeBinary,
    String,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from argos.clock import utcnow
from argos.server.columns import JsonDocument, UtcDateTime, text_enum
from argos.server.models.base import Base, BigId


class JobKind(StrEnum):
    """What `reload-config --enqueue` leaves for a running server to do."""

    RELOAD_CONFIG = "RELOAD_CONFIG"


class Agent(Base):
    """A process that leases tasks: who it is, and how it does."""

    __tablename__ = "agents"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    token_id: Mapped[str | None] = mapped_column(unique=True)
    """The public half of the agent's own token; NULL: it uses a shared secret."""
    token_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """SHA-256 of the secret half; the secret itself is stored nowhere."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    address: Mapped[str | None]
    version: Mapped[str | None]
    capabilities: Mapped[list[str] | None] = mapped_column(JsonDocument)
    slots: Mapped[int | None]
    busy: Mapped[int | None]
    spooled: Mapped[int | None]
    """Results that wait on the agent's disk."""
    waiting: Mapped[int | None]
    """Probes that only wait for their websites."""
    cpu_percent: Mapped[float | None] = mapped_column(Float(53))
    """Of the cores that it may use, its workers included."""
    lag_ms: Mapped[float | None] = mapped_column(Float(53))
    """How late its loop was lately, at the worst."""
    is_over_budget: Mapped[bool | None]
    """Its CPU is used up, so that it takes on less than it could."""
    clock_offset_s: Mapped[float | None] = mapped_column(Float(53))
    """By how much its clock is ahead of the server's."""
    location: Mapped[str | None]
    """Where it says it stands (`--location`)."""
    suspect_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Since when it fails where others succeed; NULL: it is believed."""
    suspect_reason: Mapped[str | None]


class Duty(Base):
    """Housework that one server at a time does, claimed for a term."""

    __tablename__ = "duties"

    name: Mapped[str] = mapped_column(String, primary_key=True)
    term: Mapped[int] = mapped_column(default=0)
    """The fence: grows with each claim."""
    holder: Mapped[str | None]
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it is to be done next or, while held, when the claim ends."""
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    note: Mapped[dict[str, Any] | None] = mapped_column(JsonDocument)
    """What a duty remembers from one time to the next."""


class ConfigCache(Base):
    """What the applied config was, to tell whether it changed."""

    __tablename__ = "config_cache"

    name: Mapped[str] = mapped_column(primary_key=True)
    val: Mapped[str]
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)


class Job(Base):
    """Work that a command left for a running server (`reload-config --enqueue`)."""

    __tablename__ = "jobs"

    id: Mapped[int] = mapped_column(primary_key=True)
    todo: Mapped[JobKind] = mapped_column(text_enum(JobKind, "todo_enum"))
    args: Mapped[str]
    """The config file's path."""
    current: Mapped[bool] = mapped_column(default=False, server_default=false())
    added_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
