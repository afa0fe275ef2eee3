"""A notice to send, and loopback servers that receive it."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from argos.channels import Entry, Item, Notice, NoticeKind
from argos.core.severity import Severity, Status

ITEM = Item(
    id="7.1.1000.abc",
    kind="opened",
    title="❌ example.org (IPv4): status critical",
    severity=Severity.CRITICAL,
    previous_severity=Severity.OK,
    status=Status.FAILURE,
    at=datetime(2026, 3, 14, 12, 0, tzinfo=UTC),
    since=datetime(2026, 3, 14, 11, 55, tzinfo=UTC),
    website="example.org",
    url="https://example.org/",
    ip_version="4",
    check="status-is",
    task_id=7,
    incident_id=3,
    agent="anna",
    reason="The status code is 503 instead of 200.",
    link="https://argos.example/task/7/results",
    name="Company",
)
RECOVERY = replace(
    ITEM,
    id="7.2.2000.abc",
    kind="closed",
    title="✅ example.org (IPv4): status ok",
    severity=Severity.OK,
    previous_severity=Severity.CRITICAL,
    status=Status.SUCCESS,
    at=datetime(2026, 3, 14, 12, 3, tzinfo=UTC),
    reason=None,
)


@pytest.fixture
def digest(notice: Notice) -> Notice:
    """What is told when more than one thing happened."""
    return replace(
        notice,
        kind=NoticeKind.DIGEST,
        title="❌ 1 problem, ✅ 1 ok again · example.org",
        lines=(),
        entries=(
            Entry("❌", "<b>example.org</b> critical", "https://argos.example/task/7"),
            Entry("✅", "shop.example.org ok"),
        ),
        acknowledge_url=None,
        items=(ITEM, RECOVERY),
    )


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
        acknowledge_url="https://argos.example/acknowledge/7?k=a&b=c",
        task_id=7,
        status=Status.FAILURE,
        items=(ITEM,),
    )


@dataclass
class HttpSink:
    """A web server that remembers what it was sent, and answers as told."""

    url: str = ""
    status: int = 200
    answer: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with the answer."""
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
            for name, value in sink.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sink.answer)))
            # Whoever has read enough of a long answer goes.
            with suppress(ConnectionError):
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
