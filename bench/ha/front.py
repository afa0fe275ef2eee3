"""Before the servers: passes on what agents say, and writes down what was answered."""

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ANSWER_LIMIT_S = 90.0
_PASSED_ON = ("Authorization", "Content-Type", "User-Agent", "Accept")


@dataclass(frozen=True, slots=True)
class Taken:
    """Results that a server has taken over."""

    at: float
    """When it was answered, by the monotonic clock."""
    agent: str
    count: int


@dataclass(slots=True)
class Ledger:
    """What was answered."""

    accepted: dict[int, int] = field(default_factory=dict)
    """The task of each result that was answered with its number."""
    taken: list[Taken] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0.0
    """Of the reports."""
    refused: int = 0
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Front:
    """A load balancer for a bench: the servers take turns."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ledger = Ledger()
        self._ports = tuple(ports)
        self._turn = itertools.count()
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                front.serve(self)

            def do_POST(self) -> None:
                front.serve(self)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Pass one request on, and its answer back."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        asked_at = time.monotonic()
        try:
            status, headers, answer = self._ask(handler, body)
        except (OSError, http.client.HTTPException) as err:
            with self.ledger.lock:
                self.ledger.faults.append(f"no server answers: {err!r}")
            status, headers, answer = 502, {}, b""
        else:
            self._write_down(handler.path, body, asked_at, (status, headers, answer))
        with contextlib.suppress(ConnectionError):  # the agent may have ended
            _send(handler, status, headers, answer)

    def _ask(
        self, handler: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        turn = next(self._turn)
        port = self._ports[turn % len(self._ports)]
        connection = http.client.HTTPConnection("127.0.0.1", port, ANSWER_LIMIT_S)
        try:
            headers = {
                name: handler.headers[name]
                for name in _PASSED_ON
                if name in handler.headers
            }
            connection.request(handler.command, handler.path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _write_down(
        self,
        path: str,
        body: bytes,
        asked_at: float,
        answer: tuple[int, dict[str, str], bytes],
    ) -> None:
        status, headers, content = answer
        parts = urlsplit(path)
        agent = parse_qs(parts.query).get("agent_id", ["?"])[0]
        with self.ledger.lock:
            self.ledger.statuses[status] += 1
            if status >= 500 and (
                status != 503 or "retry-after" not in _lower(headers)
            ):
                self.ledger.faults.append(
                    f"{path} answered {status}: {content[:200]!r}"
                )
            if parts.path == "/api/results":
                took_s = time.monotonic() - asked_at
                self.ledger.slowest_s = max(self.ledger.slowest_s, took_s)
                if status == 201:
                    self._take(agent, json.loads(body), json.loads(content))

    def _take(self, agent: str, items: list[Any], answer: dict[str, Any]) -> None:
        refused = {refusal["index"] for refusal in answer["refused"]}
        tasks = [
            item["task_id"] for place, item in enumerate(items) if place not in refused
        ]
        ledger = self.ledger
        ledger.refused += len(refused)
        for result, task in zip(answer["result_ids"], tasks, strict=True):
            if ledger.accepted.setdefault(result, task) != task:
                ledger.faults.append(f"result {result} was given to two tasks")
        ledger.taken.append(Taken(time.monotonic(), agent, len(tasks)))


def _send(
    handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], answer: bytes
) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        if name.lower() not in {"connection", "content-length", "date", "server"}:
            handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(answer)))
    handler.end_headers()
    handler.wfile.write(answer)


def _lower(headers: dict[str, str]) -> set[str]:
    return {name.lower() for name in headers}
