"""Logging in and out, and knowing who is logged in."""

import hashlib
import ipaddress
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from argos.clock import Clock
from argos.errors import LoginRefused, TooManyAttempts
from argos.server.database import Database
from argos.server.models import LoginSession, User
from argos.server.queries import sessions, users
from argos.server.queries.sessions import Bucket, Login
from argos.server.services import passwords
from argos.server.services.passwords import Cost

log = logging.getLogger(__name__)

IDLE_LIMIT = timedelta(hours=12)
"""A browser that is not heard of for so long has to log in again."""
TOUCH_INTERVAL = timedelta(minutes=5)
"""How exactly `seen_at` is kept: not each page view is worth a write."""
MAX_USERNAME_LENGTH = 255
_TOKEN_BYTES = 32
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody typed."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where a request comes from, as far as it can be known."""

    address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True, slots=True)
class NewLogin:
    """A fresh session: the cookie's value is known only here and to the browser."""

    token: str
    username: str
    expires_at: datetime


class LoginService:
    """The story of a session, from password to logout."""

    def __init__(
        self, database: Database, clock: Clock, *, cost: Cost = passwords.COST
    ) -> None:
        self._database = database
        self._clock = clock
        self._cost = cost

    def log_in(
        self, credentials: Credentials, *, visitor: Visitor, lifetime: timedelta
    ) -> NewLogin:
        """Open a session.

        Raises PasswordError, TooManyAttempts, TooBusy or LoginRefused; the last with
        one text, after the same work, whether the user is unknown, disabled or mistaken.
        """
        passwords.check_password_text(credentials.password)
        self._take_attempt(credentials.username, visitor)
        user = self._verified_user(credentials)
        if user is None:
            log.warning("A login was refused; it came from %s", visitor.address)
            raise LoginRefused
        return self._open_session(user, credentials, visitor, lifetime)

    def find(self, token: str, *, remembered_after: timedelta) -> Login | None:
        """The session that a cookie's value stands for, while it lasts.

        A session with a longer lifetime than `remembered_after` was asked to be
        remembered: being idle does not end it.
        """
        now = self._clock.utcnow()
        digest = token_digest(token)
        with self._database.reading() as session:
            login = sessions.get_login(session, digest=digest, now=now)
        if login is None:
            return None
        is_remembered = login.expires_at - login.created_at > remembered_after
        if login.seen_at <= now - IDLE_LIMIT and not is_remembered:
            return None
        if login.seen_at <= now - TOUCH_INTERVAL:
            with self._database.transaction() as session:
                sessions.touch_login(session, digest=digest, now=now)
        return login

    def log_out(self, token: str) -> None:
        """End a session; no matter whether there is one."""
        with self._database.transaction() as session:
            sessions.delete_login(session, digest=token_digest(token))

    def log_out_elsewhere(self, login: Login) -> None:
        """End all sessions of a user but this one."""
        with self._database.transaction() as session:
            sessions.delete_other_logins(
                session, username=login.username, digest=login.digest
            )

    def change_password(
        self, username: str, *, present: str, wanted: str, visitor: Visitor
    ) -> None:
        """Set another password; ends all sessions of the user.

        Raises what `log_in` raises, as the present password is asked for again: a
        browser left alone must not be enough.
        """
        passwords.check_new_password(wanted)
        passwords.check_password_text(present)
        self._take_attempt(username, visitor)
        user = self._verified_user(Credentials(username, present))
        if user is None:
            raise LoginRefused("The present password is wrong.")
        password_hash = passwords.hash_password(wanted, cost=self._cost)
        now = self._clock.utcnow()
        with self._database.transaction() as session:
            users.set_password(
                session, username=username, password_hash=password_hash, now=now
            )
        log.info("%s has another password", username)

    def _take_attempt(self, username: str, visitor: Visitor) -> None:
        now = self._clock.utcnow()
        # The address first: who is turned away by it fills no table with names.
        buckets = [*_address_buckets(visitor.address), *account_buckets(username)]
        with self._database.transaction() as session:
            sessions.delete_full_buckets(session, now=now, age=_HOUR)
            empty = next(
                (
                    bucket
                    for bucket in buckets
                    if not sessions.take_token(session, bucket, now=now)
                ),
                None,
            )
        if empty is not None:
            wait = empty.interval / empty.size
            raise TooManyAttempts(retry_after_s=int(wait.total_seconds()))

    def _verified_user(self, credentials: Credentials) -> User | None:
        with self._database.reading() as session:
            has_bcrypt = users.has_bcrypt_hashes(session)
            user = (
                users.get_user(session, credentials.username)
                if _can_be_a_name(credentials.username)
                else None
            )
        if self._is_right(user, credentials.password, has_bcrypt=has_bcrypt):
            return user
        return None

    def _is_right(self, user: User | None, password: str, *, has_bcrypt: bool) -> bool:
        """Verify; a refusal always costs one argon2 hash and, while needed, one bcrypt."""
        is_bcrypt = user is not None and passwords.is_bcrypt(user.password)
        if user is None:
            passwords.pretend_to_verify(password, with_bcrypt=False, cost=self._cost)
            is_right = False
        else:
            is_right = passwords.verify_password(password, user.password)
        if is_right and user is not None and not user.disabled:
            return True
        if has_bcrypt:
            passwords.pretend_to_verify(
                password, with_bcrypt=not is_bcrypt, cost=self._cost
            )
        return False

    def _open_session(
        self,
        user: User,
        credentials: Credentials,
        visitor: Visitor,
        lifetime: timedelta,
    ) -> NewLogin:
        now = self._clock.utcnow()
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        new_hash = self._stronger_hash(user, credentials.password)
        login = LoginSession(
            digest=token_digest(token),
            username=user.username,
            created_at=now,
            seen_at=now,
            expires_at=now + lifetime,
            address=visitor.address,
            user_agent=(visitor.user_agent or "")[:255] or None,
        )
        with self._database.transaction() as session:
            # Disabled, deleted or given another password while we were hashing.
            if not users.record_login(
                session,
                username=user.username,
                old_hash=user.password,
                new_hash=new_hash,
                now=now,
            ):
                raise LoginRefused
            sessions.add_login(session, login)
            names = [bucket.name for bucket in account_buckets(user.username)]
            sessions.delete_buckets(session, names=names)
        log.info("%s logged in from %s", user.username, visitor.address)
        return NewLogin(token, user.username, login.expires_at)

    def _stronger_hash(self, user: User, password: str) -> str:
        if passwords.needs_new_hash(user.password, cost=self._cost):
            return passwords.hash_password(password, cost=self._cost)
        return user.password


def token_digest(token: str) -> bytes:
    """What is stored of a cookie's value; 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def account_buckets(username: str) -> tuple[Bucket, ...]:
    """The limits of an account, known or not.

    Under a digest, since people type their password into the wrong field.
    """
    digest = hashlib.sha256(username.encode("utf-8", "surrogatepass")).hexdigest()
    return (
        Bucket(f"account-minute:{digest}", 5, _MINUTE),
        Bucket(f"account-hour:{digest}", 20, _HOUR),
    )


def _address_buckets(address: str | None) -> tuple[Bucket, ...]:
    return (Bucket(f"address:{_network(address)}", 20, _MINUTE),)


def _network(address: str | None) -> str:
    """An address or, as one customer has them all, the /64 of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _can_be_a_name(username: str) -> bool:
    """PostgreSQL takes neither NUL nor lone surrogates."""
    try:
        username.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in username and len(username) <= MAX_USERNAME_LENGTH
