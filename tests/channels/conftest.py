"""A notice to send, and loopback servers that receive it."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from argos.channels import Notice, NoticeKind
from argos.core.severity import Severity, Status


@pytest.fixture
def notice() -> Notice:
    """What is told of a website that is down."""
    return Notice(
        message_id="7.1.1000.abc",
        kind=NoticeKind.OPENED,
        severity=Severity.CRITICAL,
        at=datetime(2026, 3, 14, 12, 0, tzinfo=UTC),
        title="❌ example.org (IPv4): status critical",
        lines=(("URL", "https://example.org/ (IPv4)"), ("Reason", "*bold* <b> [x](y)")),
        url="https://argos.example/task/7/results",
        task_id=7,
        status=Status.FAILURE,
    )


@dataclass
class HttpSink:
    """A web server that remembers what it was sent, and answers as told."""

    url: str = ""
    status: int = 200
    answer: bytes = b"{}"
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def http_sink() -> Iterator[HttpSink]:
    sink = HttpSink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            sink.requests.append((self.path, headers, body))
            self.send_response(sink.status)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", str(len(sink.answer)))
            self.end_headers()
            self.wfile.write(sink.answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sink.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}
    )
    thread.start()
    yield sink
    server.shutdown()
    thread.join()
    server.server_close()
