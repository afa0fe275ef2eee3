"""Connections to PostgreSQL that break off anywhere: come again later, never a mistake."""

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url, text

from argos.errors import DatabaseUnreachable
from argos.server.database import Database

BYTES = 420
"""More than what the server says in a transaction of this test."""
STEP = 3


def _fatal(code: bytes, message: bytes) -> bytes:
    """What a server, or a pooler, says before it hangs up."""
    fields = b"SFATAL\0VFATAL\0C" + code + b"\0M" + message + b"\0\0"
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


class Cutter:
    """A way to the server that is cut after so many bytes of what it says."""

    def __init__(self, path: str) -> None:
        self.left: int | None = None
        self.last_words = b""
        self._path = path
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._path)
                for ends in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, is_counted: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if is_counted and self.left is not None:
                    if len(data) >= self.left:
                        sink.sendall(data[: self.left] + self.last_words)
                        break
                    self.left -= len(data)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def cutter(postgresql_url: str) -> Iterator[Cutter]:
    url = make_url(postgresql_url)
    folder = url.query.get("host")
    if not isinstance(folder, str):
        pytest.skip("the server has no socket")
    cutter = Cutter(f"{folder}/.s.PGSQL.{url.port or 5432}")
    yield cutter
    cutter.close()


@pytest.mark.parametrize(
    "last_words",
    [
        b"",
        _fatal(b"08P01", b"server conn crashed?"),
        _fatal(b"57P01", b"terminating connection"),
    ],
    ids=["silent", "pooler", "server"],
)
def test_wherever_it_breaks_off_it_may_pass(cutter, postgresql_url, last_words):
    url = make_url(postgresql_url).set(host="127.0.0.1", port=cutter.port, query={})
    database = Database(url)
    ends: Counter[str] = Counter()

    for bytes_said in range(0, BYTES, STEP):
        cutter.left = None
        with database.transaction() as session:
            assert session.scalar(text("SELECT 1")) == 1
        cutter.last_words, cutter.left = last_words, bytes_said
        try:
            with database.transaction() as session:
                session.execute(text("SELECT generate_series(1, 5)")).all()
            ends["it went well"] += 1
        except DatabaseUnreachable:
            ends["may pass"] += 1
    cutter.left = None
    database.close()

    assert ends.total() == len(range(0, BYTES, STEP))
    assert ends["may pass"] > 0


def test_mistakes_of_ours_stay_mistakes(postgresql_url):
    database = Database(postgresql_url)

    with pytest.raises(Exception, match="no_such_table"), database.reading() as session:
        session.execute(text("SELECT * FROM no_such_table"))

    database.close()
