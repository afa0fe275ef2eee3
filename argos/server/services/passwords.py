"""Hashing passwords, and verifying them with as much work as they deserve."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from argos.errors import PasswordError, TooBusy

MAX_PASSWORD_BYTES = 1024
MIN_PASSWORD_LENGTH = 8

HASHES_AT_ONCE = 2
"""Each takes 64 MiB for a tenth of a second; more would only wait for the processor."""
_HASHES_WAITING = 16
"""More callers than this are turned away: they would hold the threads of all pages."""
_HASH_WAIT_S = 10

_BCRYPT_BYTES = 72
"""bcrypt never looked beyond; its current library refuses what is longer."""


@dataclass(frozen=True, slots=True)
class Cost:
    """How much work a password is worth: argon2id's parameters, and bcrypt's."""

    time_cost: int = 3
    memory_kib: int = 64 * 1024
    parallelism: int = 4
    bcrypt_rounds: int = 12
    """Of the hash that nobody has; 0.10.3 used this number."""


COST = Cost()

_running = threading.BoundedSemaphore(HASHES_AT_ONCE)
_waiting = threading.BoundedSemaphore(HASHES_AT_ONCE + _HASHES_WAITING)


def check_password_text(password: str) -> None:
    """Raise PasswordError, in a sentence for the user, on what no hash can take."""
    if not password:
        raise PasswordError("The password is empty.")
    if "\0" in password:
        raise PasswordError("A password cannot contain a null character.")
    if len(_encode(password)) > MAX_PASSWORD_BYTES:
        raise PasswordError(
            f"The password is too long; the limit is {MAX_PASSWORD_BYTES} bytes."
        )


def check_new_password(password: str) -> None:
    """Raise PasswordError when this should not become somebody's password."""
    check_password_text(password)
    if len(password) < MIN_PASSWORD_LENGTH:
        raise PasswordError(
            f"The password is too short; use {MIN_PASSWORD_LENGTH} characters or more."
        )


def hash_password(password: str, *, cost: Cost = COST) -> str:
    """The argon2id hash to store; raises PasswordError on what no hash can take."""
    check_password_text(password)
    with _hashing_turn():
        return _hasher(cost).hash(_encode(password))


def verify_password(password: str, stored: str) -> bool:
    """Compare a password with a stored hash; a hash of no known kind fits nothing."""
    with _hashing_turn():
        if is_bcrypt(stored):
            return _verify_bcrypt(password, stored)
        try:
            return _hasher(COST).verify(stored, _encode(password))
        except (VerificationError, InvalidHashError):
            return False


def needs_new_hash(stored: str, *, cost: Cost = COST) -> bool:
    """Whether a hash was not made as those of today are."""
    return is_bcrypt(stored) or _hasher(cost).check_needs_rehash(stored)


def is_bcrypt(stored: str) -> bool:
    """Whether a hash was made by Argos 0.10.3."""
    return stored.startswith("$2")


def pretend_to_verify(password: str, *, with_bcrypt: bool, cost: Cost = COST) -> None:
    """Take as long as a wrong password does, so that time tells nothing of accounts."""
    kind = _bcrypt_dummy if with_bcrypt else _argon2_dummy
    verify_password(password, kind(cost))


@cache
def _hasher(cost: Cost) -> PasswordHasher:
    return PasswordHasher(
        time_cost=cost.time_cost,
        memory_cost=cost.memory_kib,
        parallelism=cost.parallelism,
    )


@cache
def _argon2_dummy(cost: Cost) -> str:
    return _hasher(cost).hash("nobody has this password")


@cache
def _bcrypt_dummy(cost: Cost) -> str:
    salt = bcrypt.gensalt(cost.bcrypt_rounds)
    return bcrypt.hashpw(b"nobody has this password", salt).decode()


def _verify_bcrypt(password: str, stored: str) -> bool:
    try:
        return bcrypt.checkpw(_encode(password)[:_BCRYPT_BYTES], stored.encode())
    except ValueError:  # a damaged hash
        return False


def _encode(password: str) -> bytes:
    # A lone surrogate cannot come from a browser, but from a JSON client it can.
    return password.encode("utf-8", "surrogatepass")


@contextmanager
def _hashing_turn() -> Iterator[None]:
    if not _waiting.acquire(blocking=False):
        raise TooBusy
    try:
        if not _running.acquire(timeout=_HASH_WAIT_S):
            raise TooBusy
        try:
            yield
        finally:
            _running.release()
    finally:
        _waiting.release()
