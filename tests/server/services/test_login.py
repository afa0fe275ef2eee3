"""Logging in, being limited, being logged in, and logging out."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import bcrypt
import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select, update

from argos.errors import LoginRefused, PasswordError, TooManyAttempts
from argos.server.database import Database
from argos.server.models import LoginBucket, LoginSession, User
from argos.server.queries import sessions, users
from argos.server.queries.sessions import Bucket
from argos.server.services import passwords
from argos.server.services.login import Credentials, LoginService, Visitor
from argos.server.services.passwords import Cost

PASSWORD = "correct horse battery"
WEEK = timedelta(days=7)
CHEAP = Cost(time_cost=2, memory_kib=64, parallelism=1, bcrypt_rounds=4)


@pytest.fixture
def service(database: Database, clock) -> LoginService:
    """With a user whose hash is of the days of 0.10.3."""
    old_hash = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    with database.transaction() as session:
        session.add(User(username="anna", password=old_hash, created_at=clock.now))
    return LoginService(database, clock, cost=CHEAP)


def log_in(
    service: LoginService,
    username: str = "anna",
    password: str = PASSWORD,
    address: str = "192.0.2.1",
) -> str:
    new = service.log_in(
        Credentials(username, password), visitor=Visitor(address), lifetime=WEEK
    )
    return new.token


def user(database: Database) -> User:
    with database.reading() as session:
        return session.scalars(select(User)).one()


def test_the_cookie_is_not_stored(service: LoginService, database: Database):
    token = log_in(service)

    with database.reading() as session:
        digest = session.scalars(select(LoginSession.digest)).one()
    assert len(token) == 43
    assert token.encode() not in bytes(digest)
    assert len(digest) == 32


def test_an_old_hash_is_replaced_at_login_and_sessions_live_on(
    service: LoginService, database: Database, clock
):
    token = log_in(service)

    anna = user(database)
    assert anna.password.startswith("$argon2id$v=19$m=64,t=2,p=1$")
    assert anna.last_login_at == clock.now
    assert service.find(token, remembered_after=WEEK) is not None
    log_in(service)
    assert user(database).password == anna.password


def test_a_weak_argon2_hash_is_replaced_too(service: LoginService, database: Database):
    weak = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    with database.transaction() as session:
        session.get_one(User, "anna").password = weak

    log_in(service)

    assert ",t=2," in user(database).password


def test_passwords_that_bcrypt_cut_are_still_right(
    service: LoginService, database: Database
):
    long = "x" * 100
    cut = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()
    with database.transaction() as session:
        session.get_one(User, "anna").password = cut

    assert log_in(service, password=long)


@pytest.mark.parametrize(
    "stored", ["", "!", "$2b$", "$2b$12$short", "$argon2id$v=19$x"]
)
def test_a_damaged_hash_fits_no_password(
    service: LoginService, database: Database, stored: str
):
    with database.transaction() as session:
        session.get_one(User, "anna").password = stored

    with pytest.raises(LoginRefused):
        log_in(service)


def test_five_attempts_a_minute_are_left_to_an_account(service: LoginService, clock):
    for number in range(5):
        with pytest.raises(LoginRefused):
            log_in(service, password="wrong", address=f"192.0.2.{number}")

    with pytest.raises(TooManyAttempts) as refused:
        log_in(service)
    clock.now += timedelta(seconds=refused.value.retry_after_s)

    assert log_in(service)


def test_an_account_that_does_not_exist_is_limited_the_same_way(service: LoginService):
    for _ in range(5):
        with pytest.raises(LoginRefused):
            log_in(service, "nobody")

    with pytest.raises(TooManyAttempts):
        log_in(service, "nobody")


def test_twenty_attempts_an_hour_are_left_to_an_account(service: LoginService, clock):
    refused = 0
    for number in range(40):
        clock.now += timedelta(seconds=15)
        try:
            log_in(service, password="wrong", address=f"198.51.100.{number}")
        except TooManyAttempts:
            break
        except LoginRefused:
            refused += 1

    # Twenty at once, and what came back meanwhile: one in three minutes.
    assert 20 <= refused <= 22


def test_twenty_attempts_a_minute_are_left_to_an_address(service: LoginService):
    for number in range(20):
        with pytest.raises(LoginRefused):
            log_in(service, f"user{number}")

    with pytest.raises(TooManyAttempts):
        log_in(service, "anna")
    assert log_in(service, "anna", address="192.0.2.99")


@pytest.mark.parametrize(
    ("one", "other", "is_shared"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        (None, "somewhere", True),
    ],
    ids=["same-64", "other-64", "ipv4", "unknown"],
)
def test_an_address_is_a_network_where_one_customer_has_it(
    service: LoginService, one: str, other: str, is_shared: bool
):
    for number in range(20):
        with pytest.raises(LoginRefused):
            log_in(service, f"user{number}", address=one)

    expected = TooManyAttempts if is_shared else LoginRefused
    with pytest.raises(expected):
        log_in(service, "somebody", address=other)


def test_a_good_login_gives_the_attempts_back(service: LoginService):
    for _ in range(8):
        for _ in range(2):
            with pytest.raises(LoginRefused):
                log_in(service, password="wrong", address=_next_address())
        log_in(service, address=_next_address())


_addresses: Iterator[int] = iter(range(1, 10_000))


def _next_address() -> str:
    number = next(_addresses)
    return f"10.0.{number // 250}.{number % 250}"


def test_buckets_are_forgotten_when_they_are_full_again(
    service: LoginService, database: Database, clock
):
    for number in range(3):
        with pytest.raises(LoginRefused):
            log_in(service, f"user{number}")
    clock.now += timedelta(hours=2)
    log_in(service)

    with database.reading() as session:
        left = session.scalar(select(func.count()).select_from(LoginBucket))
    assert left == 1


def test_what_was_typed_as_a_name_is_stored_nowhere(
    service: LoginService, database: Database
):
    with pytest.raises(LoginRefused):
        log_in(service, "my-secret-password")

    with database.reading() as session:
        names = session.scalars(select(LoginBucket.name)).all()
    assert not any("my-secret-password" in name for name in names)


def test_two_servers_give_out_no_more_attempts_than_there_are(
    database: Database, now: datetime
):
    bucket = Bucket("everybody", 10, timedelta(hours=1))
    taken = []

    def take() -> None:
        for _ in range(10):
            with database.transaction() as session:
                taken.append(sessions.take_token(session, bucket, now=now))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(taken) == 10


def test_a_clock_that_went_back_empties_no_bucket(database: Database, now: datetime):
    bucket = Bucket("everybody", 5, timedelta(minutes=1))
    with database.transaction() as session:
        assert sessions.take_token(session, bucket, now=now)
        assert sessions.take_token(session, bucket, now=now - timedelta(days=365))


@pytest.mark.parametrize(
    "change",
    [{"disabled": True}, {"password": "another hash"}, {"username": "another"}],
    ids=["disabled", "other-password", "gone"],
)
def test_a_user_changed_while_the_password_was_hashed_is_not_logged_in(
    service: LoginService, database: Database, now: datetime, change: dict[str, Any]
):
    old_hash = user(database).password
    with database.transaction() as session:
        session.execute(update(User).values(**change))
        is_recorded = users.record_login(
            session, username="anna", old_hash=old_hash, new_hash="stronger", now=now
        )

    assert not is_recorded
    assert user(database).password != "stronger"


def test_an_idle_session_is_over(service: LoginService, clock):
    token = log_in(service)
    clock.now += timedelta(hours=12)

    assert service.find(token, remembered_after=WEEK) is None


def test_another_password_ends_all_sessions(service: LoginService):
    tokens = [log_in(service) for _ in range(2)]

    service.change_password(
        "anna", present=PASSWORD, wanted="another good one", visitor=Visitor()
    )

    assert [service.find(token, remembered_after=WEEK) for token in tokens] == [
        None,
        None,
    ]
    assert log_in(service, password="another good one")


@pytest.mark.parametrize(
    ("present", "wanted", "error"),
    [
        ("wrong", "another good one", LoginRefused),
        (PASSWORD, "short", PasswordError),
        (PASSWORD, "", PasswordError),
        (PASSWORD, "x" * 1025, PasswordError),
        (PASSWORD, "null\0null\0", PasswordError),
    ],
    ids=["wrong", "short", "empty", "long", "nul"],
)
def test_a_password_is_not_changed_to_what_can_be_none_or_by_others(
    service: LoginService, present: str, wanted: str, error: type[Exception]
):
    with pytest.raises(error):
        service.change_password(
            "anna", present=present, wanted=wanted, visitor=Visitor()
        )

    assert log_in(service)


def test_logging_out_elsewhere_leaves_this_session(service: LoginService):
    here, there = log_in(service), log_in(service)
    login = service.find(here, remembered_after=WEEK)
    assert login is not None

    service.log_out_elsewhere(login)

    assert service.find(here, remembered_after=WEEK) is not None
    assert service.find(there, remembered_after=WEEK) is None


def test_a_remembered_session_may_be_idle(service: LoginService, clock):
    new = service.log_in(
        Credentials("anna", PASSWORD), visitor=Visitor(), lifetime=timedelta(days=30)
    )
    clock.now += timedelta(days=20)

    assert service.find(new.token, remembered_after=WEEK) is not None


@pytest.mark.parametrize("hash_kind", ["argon2", "bcrypt"])
def test_known_and_unknown_names_take_the_same_time(
    service: LoginService, database: Database, clock, hash_kind: str
):
    """Within a quarter: in processor time, which other programs disturb less."""
    cost = Cost(time_cost=2, memory_kib=16 * 1024, parallelism=1, bcrypt_rounds=9)
    service = LoginService(database, clock, cost=cost)
    with database.transaction() as session:
        session.get_one(User, "anna").password = (
            passwords.hash_password(PASSWORD, cost=cost)
            if hash_kind == "argon2"
            else bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(9)).decode()
        )

    def time_of(username: str) -> float:
        clock.now += timedelta(minutes=5)
        begin = time.process_time()
        with pytest.raises(LoginRefused):
            log_in(service, username, "wrong", _next_address())
        return time.process_time() - begin

    time_of("anna"), time_of("nobody")
    known = min(time_of("anna") for _ in range(7))
    unknown = min(time_of("nobody") for _ in range(7))

    assert 0.75 < known / unknown < 1.33
