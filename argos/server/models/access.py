"""Users and their sessions."""

from datetime import datetime

from sqlalchemy import (
    Float,
    ForeignKey,
    LargeBinary,
)
from sqlalchemy.orm import Mapped, mapped_column

from argos.clock import utcnow
from argos.server.columns import UtcDateTime
from argos.server.models.base import Base


class User(Base):
    """Somebody who logs in."""

    __tablename__ = "users"

    username: Mapped[str] = mapped_column(primary_key=True)
    password: Mapped[str]
    """An argon2id or bcrypt hash."""
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utcnow)
    updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    def update_last_login_at(self) -> None:
        """Remember that the user logged in now."""
        self.last_login_at = utcnow()


class LoginSession(Base):
    """A logged-in browser; ends at logout, disable, delete and password change."""

    __tablename__ = "sessions"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """SHA-256 of the cookie's value."""
    username: Mapped[str] = mapped_column(
        ForeignKey("users.username", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    address: Mapped[str | None]
    user_agent: Mapped[str | None]


class LoginBucket(Base):
    """How many login attempts are left for an account or an address."""

    __tablename__ = "login_buckets"

    name: Mapped[str] = mapped_column(primary_key=True)
    tokens: Mapped[float] = mapped_column(Float(53))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
