"""Users: who may log in."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from argos.server.models import LoginSession, User


def get_user(session: Session, username: str) -> User | None:
    """The user of this name, exactly as written."""
    return session.get(User, username)


def list_users(session: Session) -> Sequence[User]:
    """All users, by name."""
    return session.scalars(select(User).order_by(User.username)).all()


def add_user(
    session: Session, *, username: str, password_hash: str, now: datetime
) -> User:
    """Add a user; the caller knows that there is none of this name."""
    user = User(username=username, password=password_hash, created_at=now)
    session.add(user)
    session.flush()
    return user


def set_password(
    session: Session, *, username: str, password_hash: str, now: datetime
) -> bool:
    """Give a user another password and end all the sessions; False: no such user."""
    changed = session.execute(
        update(User)
        .where(User.username == username)
        .values(password=password_hash, updated_at=now)
        .returning(User.username)
    ).first()
    _end_sessions(session, username)
    return changed is not None


def record_login(
    session: Session, *, username: str, old_hash: str, new_hash: str, now: datetime
) -> bool:
    """Remember a login, and a stronger hash of the same password; sessions live on.

    False when the user was disabled, deleted or given another password meanwhile.
    """
    changed = session.execute(
        update(User)
        .where(
            User.username == username,
            User.password == old_hash,
            User.disabled.is_(False),
        )
        .values(last_login_at=now, password=new_hash)
        .returning(User.username)
    ).first()
    return changed is not None


def set_disabled(
    session: Session, *, username: str, disabled: bool, now: datetime
) -> bool:
    """Disable or enable a user; False: there is no such user, or nothing to change."""
    changed = session.execute(
        update(User)
        .where(User.username == username, User.disabled.is_not(disabled))
        .values(disabled=disabled, updated_at=now)
        .returning(User.username)
    ).first()
    if disabled:
        _end_sessions(session, username)
    return changed is not None


def delete_user(session: Session, *, username: str) -> bool:
    """Delete a user with all sessions; False: there is no such user."""
    _end_sessions(session, username)
    deleted = session.execute(
        delete(User).where(User.username == username).returning(User.username)
    ).first()
    return deleted is not None


def has_bcrypt_hashes(session: Session) -> bool:
    """Whether somebody has not logged in since the days of Argos 0.10.3."""
    return bool(session.scalar(select(exists().where(User.password.startswith("$2")))))


def _end_sessions(session: Session, username: str) -> None:
    session.execute(delete(LoginSession).where(LoginSession.username == username))
