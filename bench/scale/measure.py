"""How long a server takes for every page and every call, on the filled database."""

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx2

from argos.clock import utcnow
from argos.server.database import Database
from argos.server.queries import users
from argos.server.services import passwords
from bench.data.running import RunningServer
from bench.scale.effort import backend_pids, cpu_ms

USER = "bench"
PASSWORD = "correct-horse-battery-staple"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one address took, and how much CPU, server and database together."""

    path: str
    p50_ms: float
    p95_ms: float
    cpu_p50_ms: float
    cpu_p95_ms: float
    kilobytes: float


def add_user(database: Database) -> None:
    """Let somebody in who may see all pages, unless that has been done."""
    with database.transaction() as session:
        if users.get_user(session, USER) is None:
            hashed = passwords.hash_password(PASSWORD)
            users.add_user(session, username=USER, password_hash=hashed, now=utcnow())


def measure(
    server: RunningServer, database: Database, paths: list[str], *, rounds: int
) -> Iterator[Timing]:
    """Ask for each address so often, after once to warm up; one after another.

    Not one address many times in a row: what the server keeps for a while would look
    cheaper than it is to somebody who comes by once.
    """
    headers = {"Accept": "text/html"}
    spent: dict[str, list[tuple[float, float]]] = {path: [] for path in paths}
    last: dict[str, httpx2.Response] = {}
    with httpx2.Client(base_url=server.address, headers=headers, timeout=60) as client:
        _log_in(client)
        for path in paths:
            last[path] = client.get(path)
        pids = [server.pid, *backend_pids(database)]
        for _ in range(rounds):
            for path in paths:
                effort = cpu_ms(pids)
                begin = time.perf_counter()
                last[path] = client.get(path)
                took = (time.perf_counter() - begin) * 1000
                spent[path].append((took, cpu_ms(pids) - effort))
    for path in paths:
        answer = last[path]
        is_well = answer.is_success or answer.is_redirect
        wall, cpu = zip(*spent[path], strict=True)
        yield Timing(
            path if is_well else f"{path} -> {answer.status_code}",
            *_percentiles(wall),
            *_percentiles(cpu),
            len(answer.content) / 1024,
        )


def _log_in(client: httpx2.Client) -> None:
    form = {"username": USER, "password": PASSWORD}
    answer = client.post("/api/app/login", data=form).raise_for_status().json()
    client.cookies.set(answer["cookie_name"], answer["cookie"])


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    """The median and the 95th percentile."""
    if len(values) < 2:
        return values[0], values[0]
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    return cuts[9], cuts[18]
