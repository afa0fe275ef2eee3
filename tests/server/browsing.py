"""People with browsers, and what they look at."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from argos.server.database import Database
from argos.server.models import LoginSession
from argos.server.routes.dependencies import App
from argos.server.services.login import LoginService
from argos.server.services.passwords import Cost

BASE_URL = "https://argos.example.org"
PASSWORD = "correct horse battery"
SESSION_TOKEN = "the-token-of-a-session"
FLEET = (
    "cloud.example.org",
    "shop.example.org",
    "api.example.org",
    "a.example.net",
    "b.example.net",
    "wiki.example.org",
    "events.example.org",
    "new.example.com",
    "xn--bcher-kva.example",
)


@dataclass(slots=True)
class TurnedClock:
    """Stands still until a test turns it."""

    now: datetime

    def utcnow(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.now.timestamp()

    def turn(self, **interval: float) -> None:
        self.now += timedelta(**interval)


def cheap_login_service(app: App) -> LoginService:
    """The real one; but its hashes take no time."""
    cost = Cost(time_cost=1, memory_kib=64, parallelism=1, bcrypt_rounds=4)
    return LoginService(app.database, app.clock, cost=cost)


def browse(app: FastAPI, *, base_url: str = BASE_URL) -> TestClient:
    """Somebody's browser."""
    return TestClient(
        app,
        base_url=base_url,
        headers={"Accept": "text/html"},
        follow_redirects=False,
        raise_server_exceptions=True,
    )


def logged_in(
    app: FastAPI,
    database: Database,
    *,
    now: datetime,
    username: str = "admin",
    token: str = SESSION_TOKEN,
) -> TestClient:
    """The browser of a user who has a session."""
    with database.transaction() as session:
        add_session(session, token=token, now=now, username=username)
    browser = browse(app)
    browser.cookies.set("__Host-argos", token, domain="argos.example.org")
    return browser


def add_session(
    session: Session, *, token: str, now: datetime, username: str = "admin"
) -> None:
    """Log somebody in, without a password."""
    session.add(
        LoginSession(
            digest=hashlib.sha256(token.encode()).digest(),
            username=username,
            created_at=now,
            seen_at=now,
            expires_at=now + timedelta(days=7),
            address="127.0.0.1",
            user_agent="test",
        )
    )
    session.flush()
