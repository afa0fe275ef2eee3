"""Logged-in browsers, and how many login attempts are left."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from argos.server.models import LoginBucket, LoginSession, User
from argos.server.queries.selection import is_postgresql, seconds_between


@dataclass(frozen=True, slots=True)
class Login:
    """Who is logged in, by which session."""

    username: str
    digest: bytes
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Bucket:
    """A limit on attempts: `size` at once, refilled over `interval`."""

    name: str
    size: int
    interval: timedelta


def add_login(session: Session, login: LoginSession) -> None:
    """Add a session, and forget those that are over."""
    session.execute(
        delete(LoginSession).where(LoginSession.expires_at <= login.created_at)
    )
    session.add(login)
    session.flush()


def get_login(session: Session, *, digest: bytes, now: datetime) -> Login | None:
    """The session with this digest, while it lasts and its user is not disabled."""
    row = session.execute(
        select(
            LoginSession.username,
            LoginSession.digest,
            LoginSession.created_at,
            LoginSession.seen_at,
            LoginSession.expires_at,
        )
        .join(User, User.username == LoginSession.username)
        .where(
            LoginSession.digest == digest,
            LoginSession.expires_at > now,
            User.disabled.is_(False),
        )
    ).first()
    return Login(*row) if row else None


def touch_login(session: Session, *, digest: bytes, now: datetime) -> None:
    """Remember that a session is in use."""
    session.execute(
        update(LoginSession)
        .where(LoginSession.digest == digest, LoginSession.seen_at < now)
        .values(seen_at=now)
    )


def delete_login(session: Session, *, digest: bytes) -> bool:
    """End a session; False: there is none."""
    deleted = session.execute(
        delete(LoginSession)
        .where(LoginSession.digest == digest)
        .returning(LoginSession.username)
    ).first()
    return deleted is not None


@dataclass(frozen=True, slots=True)
class OpenLogin:
    """A session as its user sees it."""

    digest: bytes
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str | None
    user_agent: str | None


def list_logins(session: Session, *, username: str) -> list[OpenLogin]:
    """The sessions of a user, last used first."""
    rows = session.execute(
        select(
            LoginSession.digest,
            LoginSession.created_at,
            LoginSession.seen_at,
            LoginSession.expires_at,
            LoginSession.address,
            LoginSession.user_agent,
        )
        .where(LoginSession.username == username)
        .order_by(LoginSession.seen_at.desc())
    )
    return [OpenLogin(*row) for row in rows]


def delete_other_logins(session: Session, *, username: str, digest: bytes) -> None:
    """End all sessions of a user but one."""
    session.execute(
        delete(LoginSession).where(
            LoginSession.username == username, LoginSession.digest != digest
        )
    )


def take_token(session: Session, bucket: Bucket, *, now: datetime) -> bool:
    """Take one attempt out of a bucket; False: it is empty.

    One statement: two servers together never give out more than the bucket holds.
    """
    refilled = _refilled(session, bucket, now)
    values = {"name": bucket.name, "tokens": bucket.size - 1.0, "updated_at": now}
    dialect = postgresql if is_postgresql(session) else sqlite
    statement = (
        dialect
        .insert(LoginBucket)
        .values(**values)
        .on_conflict_do_update(
            index_elements=[LoginBucket.name],
            set_={"tokens": refilled - 1.0, "updated_at": now},
            where=refilled >= 1.0,
        )
        .returning(LoginBucket.tokens)
    )
    return session.execute(statement).first() is not None


def delete_buckets(session: Session, *, names: list[str]) -> None:
    """Forget the attempts on an account: its owner has come."""
    session.execute(delete(LoginBucket).where(LoginBucket.name.in_(names)))


def delete_full_buckets(session: Session, *, now: datetime, age: timedelta) -> None:
    """Forget buckets that have long been full again."""
    session.execute(delete(LoginBucket).where(LoginBucket.updated_at < now - age))


def _refilled(session: Session, bucket: Bucket, now: datetime) -> ColumnElement[float]:
    per_second = bucket.size / bucket.interval.total_seconds()
    tokens = LoginBucket.tokens + _age_s(session, now) * per_second
    return case((tokens < bucket.size, tokens), else_=float(bucket.size))


def _age_s(session: Session, now: datetime) -> ColumnElement[float]:
    """Seconds since a bucket was last used; never negative, whatever clocks do."""
    age = -seconds_between(session, now, LoginBucket.updated_at)
    return case((age > 0, age), else_=0.0)
