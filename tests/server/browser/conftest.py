"""A server for browsers, with a fleet in it."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from argos.clock import utcnow
from argos.server.database import Database
from argos.server.main import get_application
from tests.server.browsing import FLEET, SESSION_TOKEN, add_session
from tests.server.demo_data import seed_demo
from tests.server.demo_sites import demo_sites
from tests.server.factories import make_config


class SignallingServer(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_listening = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_listening.set()


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], str]]:
    """Serves an application, without its loops; returns its address."""
    running: list[tuple[SignallingServer, threading.Thread]] = []

    def serve(app: FastAPI) -> str:
        server = SignallingServer(
            uvicorn.Config(
                app, host="127.0.0.1", port=0, log_level="warning", lifespan="off"
            )
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        assert server.is_listening.wait(10)
        port = server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    yield serve
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def migrated_url(migrated_sqlite_url: str) -> str:
    """SQLite is enough here: the pages are the same."""
    return migrated_sqlite_url


@pytest.fixture
def at() -> datetime:
    """Now: browsers have a clock of their own."""
    return utcnow()


@pytest.fixture
def content() -> str:
    """The fleet stands at another moment here; it is added to the schema."""
    return "migrated"


@pytest.fixture
def seeded(database: Database, at: datetime) -> Database:
    """The fleet, with two hours of results; `admin` is logged in."""
    sites = [site for site in demo_sites() if site.host in FLEET]
    sites += [site for site in demo_sites() if len(site.host) > 60]
    with database.transaction() as session:
        seed_demo(session, now=at, sites=sites)
        add_session(session, token=SESSION_TOKEN, now=at)
    return database


@pytest.fixture
def address(
    seeded: Database, migrated_sqlite_url: str, tmp_path: Any, serve: Any
) -> Iterator[str]:
    """Where the server with the fleet is."""
    loaded = make_config(tmp_path, url=migrated_sqlite_url, general__base_url=None)
    app = get_application(loaded)
    yield serve(app)
    app.state.argos.database.close()
