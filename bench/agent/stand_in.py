"""A server that costs nearly nothing: `python -m bench.agent.stand_in PORT URL…`.

It speaks the real protocol, to our agents and to those of 0.10.3, with the bytes that
our server has for each, but forgets all that it is told: what an agent can do at most
shows when no server holds it up. Task groups are due at a rate, or always; each has
five checks.
"""

import argparse
import asyncio
import json
import time
import urllib.request
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import uvloop
from pydantic_core import from_json

from argos.protocol import MAX_LEASE_GROUPS, PROTOCOL, PROTOCOL_HEADER
from argos.server.queries.leased import LeasedTask
from argos.server.routes.api.wire import TaskForm, encode_tasks

CHECKS = (
    ("status-is", "200"),
    ("status-in", "[200, 204]"),
    ("headers-contain", '["content-type", "server"]'),
    ("headers-have", '{"content-type": "text/html"}'),
    ("body-contains", "argos"),
)
CERTIFICATE_CHECK = ("ssl-certificate-expiration", "on-check")
"""Takes the place of the last but one over HTTPS."""
URLS = 2_000
"""Different ones, visited in turn."""
NAP_S = 0.02
COUNTS = "/counts"
_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
"""Stands for that of each lease."""
_MOMENT_TEXT = msgspec.json.encode(_MOMENT)[1:-1]


class Work:
    """What is due, and what has come back."""

    def __init__(self, urls: list[str], *, per_second: float | None) -> None:
        self._per_second = per_second
        self._began_at: float | None = None
        self._handed_out = 0
        self.results = 0
        self.bad = 0
        """Results that are neither a success nor for the server to judge."""
        groups = [_group(f"{urls[n % len(urls)]}/{n}", n) for n in range(URLS)]
        self._groups = {
            form: [encode_tasks(each, form=form, now=_MOMENT)[1:-1] for each in groups]
            for form in TaskForm
        }

    def take(self, limit: int, form: TaskForm) -> list[bytes]:
        """Task groups that are due, as JSON, all of them leased at `_MOMENT`."""
        if self._began_at is None:
            self._began_at = time.perf_counter()
        count = min(limit, MAX_LEASE_GROUPS)
        if self._per_second is not None:
            elapsed = time.perf_counter() - self._began_at
            count = min(count, int(elapsed * self._per_second) - self._handed_out)
        first, self._handed_out = self._handed_out, self._handed_out + max(0, count)
        groups = self._groups[form]
        return [groups[n % URLS] for n in range(first, self._handed_out)]

    def take_in(self, body: bytes) -> bytes:
        """Count results; return the answer."""
        results = from_json(body)
        self.results += len(results)
        self.bad += sum(
            result["status"] not in {"success", "on-check"} for result in results
        )
        return b'{"result_ids":%b}' % json.dumps([1] * len(results)).encode()


def _group(url: str, number: int) -> list[LeasedTask]:
    checks = list(CHECKS)
    if url.startswith("https:"):
        checks[-2] = CERTIFICATE_CHECK
    return [
        LeasedTask(
            id=number * len(checks) + index,
            url=url,
            domain=url.rpartition("/")[0],
            ip_version="4",
            check=check,
            method="GET",
            request_data=None,
            add_alerts_recipients=None,
            overwrite_alerts_recipients=None,
            expected=expected,
            task_group=f"GET-4-{url}-d41d8cd98f00b204e9800998ecf8427e",
            retry_before_notification=0,
            contiguous_failures=0,
            group_id=number,
            lease_no=1,
            selected_at=_MOMENT.replace(tzinfo=None).isoformat(),
            selected_by="one",
            leased_at=_MOMENT,
            timeout_s=30.0,
            options=None,
            due_in_s=0.0,
        )
        for index, (check, expected) in enumerate(checks)
    ]


def get_json(url: str) -> Any:
    """What a server answers."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


class Connection(asyncio.Protocol):
    """One kept-alive connection of an agent."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._buffer = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(self._buffer[:head_end]).decode("latin-1")
        length = next(
            (
                int(line.partition(":")[2])
                for line in head.split("\r\n")
                if line.lower().startswith("content-length:")
            ),
            0,
        )
        end = head_end + 4 + length
        if len(self._buffer) < end:
            return
        body = bytes(self._buffer[head_end + 4 : end])
        del self._buffer[:end]
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        self._answer(
            method, urlsplit(target).path, parse_qs(urlsplit(target).query), body
        )

    def _answer(
        self, method: str, path: str, query: dict[str, list[str]], body: bytes
    ) -> None:
        if path == COUNTS:
            counts = {"results": self._work.results, "bad": self._work.bad}
            self._send(200, json.dumps(counts).encode())
        elif method == "POST":
            self._send(201, self._work.take_in(body) if "results" in path else b"{}")
        else:
            is_ours = "capabilities" in query
            form = TaskForm.LEAN if is_ours else TaskForm.LEGACY
            ends_at = time.perf_counter() + float(query.get("wait", ["0"])[0])
            self._lease(int(query["limit"][0]), ends_at, form)

    def _lease(self, limit: int, ends_at: float, form: TaskForm) -> None:
        groups = self._work.take(limit, form)
        if not groups and time.perf_counter() < ends_at:
            loop = asyncio.get_running_loop()
            loop.call_later(NAP_S, lambda: self._lease(limit, ends_at, form))
            return
        moment = datetime.now(UTC).isoformat().encode()
        body = b"[%b]" % b",".join(groups).replace(_MOMENT_TEXT, moment)
        self._send(200, body, announces=form is not TaskForm.LEGACY)

    def _send(self, status: int, body: bytes, *, announces: bool = True) -> None:
        protocol = f"{PROTOCOL_HEADER}: {PROTOCOL}\r\n" if announces else ""
        head = (
            f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\n{protocol}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


async def serve(port: int, work: Work) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(work), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m bench.agent.stand_in")
    parser.add_argument("port", type=int)
    parser.add_argument("url", nargs="+", help="of a website; a path is appended")
    parser.add_argument("--per-second", type=float, help="task groups due a second")
    options = parser.parse_args()
    uvloop.run(serve(options.port, Work(options.url, per_second=options.per_second)))


if __name__ == "__main__":
    main()
