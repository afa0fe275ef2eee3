"""A clock set by hand, housework, and a Gotify that does as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import select

from argos.server.models import Delivery, Duty as DutyRow, Schedule
from argos.server.services.upkeep import Duty, Means, Upkeep
from argos.server.settings import read_config
from tests.server.factories import add_group
from tests.server.services.reporting import Server
from tests.server.test_plan import HEAD


class HandClock:
    """Stands still until somebody moves it."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def utcnow(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.now.timestamp()

    def move(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class FakeGotify:
    """Keeps what is posted; answers what it is told, else 200."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        """The next answers' status codes."""
        self.headers: dict[str, str] = {}
        """Sent with each answer."""
        self.ids: list[str] = []
        """The messages' ids, as they came."""
        self.gate = threading.Event()
        """Closed, it keeps requests waiting."""
        self.gate.set()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                message = json.loads(self.rfile.read(length))
                fake.gate.wait(10)
                status = fake.statuses.pop(0) if fake.statuses else 200
                if status == 200:
                    fake.messages.append(message)
                    fake.ids.append(self.headers["Idempotency-Key"])
                self.send_response(status)
                for name, value in fake.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    def close(self) -> None:
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def clock(now: datetime) -> HandClock:
    return HandClock(now)


@pytest.fixture
def gotify() -> Iterator[FakeGotify]:
    fake = FakeGotify()
    yield fake
    fake.close()


@pytest.fixture
def make_means(database, clock, config) -> Callable[..., Means]:
    def make(holder: str = "server 1", config: Any = config) -> Means:
        return Means(
            database=database,
            clock=clock,
            get_config=lambda: config,
            holder=holder,
        )

    return make


@pytest.fixture
def keep(make_means) -> Callable[..., Upkeep]:
    """Makes an upkeep of some duties that has entered them."""

    def keep(*todo: Duty, holder: str = "server 1", **more: Any) -> Upkeep:
        upkeep = Upkeep(make_means(holder, **more), todo)
        upkeep.enter()
        return upkeep

    return keep


@pytest.fixture
def server(database, config, now: datetime) -> Server:
    return Server(database, config, now)


@pytest.fixture
def add(server: Server) -> Callable[..., Schedule]:
    """Adds a task group that is due."""

    def add(name: str = "a", **columns: Any) -> Schedule:
        columns.setdefault("due_at", server.now)
        with server.database.transaction() as session:
            return add_group(session, name, **columns)

    return add


@pytest.fixture
def get_duty(database) -> Callable[[str], DutyRow]:
    def get(name: str) -> Any:
        with database.reading() as session:
            return session.get_one(DutyRow, name)

    return get


@pytest.fixture
def told(database) -> Callable[[], list[tuple[str, str]]]:
    """Kind and recipient of each notice that is of no task's event."""

    def told() -> list[tuple[str, str]]:
        with database.reading() as session:
            rows = session.scalars(select(Delivery).order_by(Delivery.id))
            return [(row.notice["kind"], row.recipient) for row in rows]

    return told


@pytest.fixture
def load(tmp_path):
    """Write a config of these websites, and read it."""

    def load_(*websites: str, head: str = HEAD):
        path = tmp_path / "config.yaml"
        path.write_text(head + ("".join(websites) or "  []\n"))
        return read_config(path, environ={})

    return load_
