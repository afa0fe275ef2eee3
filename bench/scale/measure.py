"""How long a server takes for every page and every call, on the filled database."""

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from sqlalchemy import text

from argos.server.database import Database
from bench.data.reload import HEAD

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one address took."""

    path: str
    p50_ms: float
    p95_ms: float
    kilobytes: float


def page_paths(database: Database) -> list[str]:
    """Every kind of page and call that reads, with ids that are there."""
    with database.reading() as session:
        ids: Mapping[str, int] = dict(
            session
            .execute(
                text(
                    "SELECT min(t.id) AS task, max(r.id) AS result, max(i.id) AS incident"
                    " FROM tasks t JOIN results r ON r.task_id = t.id"
                    " LEFT JOIN incidents i ON i.task_id = t.id WHERE t.id <= 1000"
                )
            )
            .mappings()
            .one()
        )
        middle = session.execute(
            text("SELECT id, host FROM websites WHERE id ="
                 " (SELECT max(id) / 2 FROM websites)")
        ).one()  # fmt: skip
    task, host = ids["task"], "site000001.example.org"
    ranges = ("6h", "24h", "7d", "30d", "90d", "1y")
    return [
        "/",
        *(f"/domains?s={s}" for s in ("all", "not-ok", "critical", "unknown", "ok")),
        "/domains?q=site000042",
        "/domains?q=00042",
        "/domains?q=no-such-thing",
        f"/domains?after=0.{middle.id}.{middle.host}",
        *(f"/domain/{host}?range={each}" for each in ranges),
        *(f"/task/{task}/results?range={each}" for each in ranges),
        f"/result/{ids['result']}",
        *(f"/incidents?s={s}" for s in ("all", "open", "closed")),
        f"/incident/{ids['incident']}",
        "/agents",
        "/api/stats",
        "/api/severities",
        "/api/app/",
        "/api/app/agents",
        "/api/app/domains",
        f"/api/app/websites/{host}/statistics",
        f"/api/app/tasks/{task}/statistics",
    ]


def measure(address: str, paths: list[str], *, rounds: int) -> Iterator[Timing]:
    """Ask for each address so often, after once to warm up."""
    headers = {"Accept": "text/html"}
    with httpx2.Client(base_url=address, headers=headers, timeout=60) as client:
        for path in paths:
            answer = client.get(path)
            seconds = []
            for _ in range(rounds):
                begin = time.perf_counter()
                answer = client.get(path)
                seconds.append(time.perf_counter() - begin)
            label = path if answer.is_success else f"{path} -> {answer.status_code}"
            cuts = statistics.quantiles(seconds, n=20)
            yield Timing(
                label, cuts[9] * 1000, cuts[18] * 1000, len(answer.content) / 1024
            )


@contextmanager
def running_server(database: Database, folder: Path) -> Iterator[str]:
    """A real server, whose pages anybody may see; yields its address."""
    config = folder / "server.yaml"
    url = database.url.render_as_string(hide_password=False)
    head = HEAD.format(url=url).replace(
        "  env:", "  unauthenticated_access: all\n  env:"
    )
    config.write_text(f"{head}  []\n")
    config.chmod(0o600)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "argos.server:app", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--log-level", "warning", "--no-access-log"],
        cwd=ROOT,
        env={**os.environ, "ARGOS_YAML_FILE": str(config)},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(address)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_ready(address: str) -> None:
    for _ in range(300):
        try:
            if httpx2.get(f"{address}/readyz").is_success:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError("the server does not start")
