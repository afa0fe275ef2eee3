"""Leases and reports in a loop over HTTP: ours and Argos 0.10.3, in the same run.

Both are installed as people do it, by the same config, with one server process; the same
agents, in processes of their own, lease what is due and report it, until nothing is due.
Then all is made due again, for as many rounds as fill the time; the first round, in which
the tasks turn out to be well, does not count. From the repository's root:

    python -m bench.data.loop --database postgresql sqlite
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from sqlalchemy import update

from argos.clock import utcnow
from argos.server.database import Database
from argos.server.models import Schedule
from bench.data.reckoning import cpu_seconds, quantile_ms, recount, say
from bench.data.running import ROOT, make_database
from tests.e2e.ancestor import VERSION, find_ancestor
from tests.e2e.installation import TOKEN, Installation, for_everybody, make_config
from tests.e2e.programs import ARGOS

CHECKS: Sequence[dict[str, Any]] = (
    {"status-is": "200"},
    {"status-in": ["200", "302"]},
    {"body-contains": "<h1>"},
    {"body-like": "H[12]"},
    {"headers-contain": ["content-type"]},
)
OURS, THEIRS = "ours", VERSION
CREATED = 201
TIMINGS = {
    "dns_us": 500, "connect_us": 900, "tls_us": 21_000, "first_byte_us": 42_000,
    "transfer_us": 300, "total_us": 64_900, "timing_error_us": 120,
}  # fmt: skip


class Handed(msgspec.Struct, gc=False):
    """What matters of a task as it comes from the server."""

    id: int
    group_id: int = 0
    lease_no: int | None = None
    leased_at: str | None = None


class Taken(msgspec.Struct):
    """What the server says to a report."""

    result_ids: list[int]


_read_tasks = msgspec.json.Decoder(list[Handed]).decode
_read_answer = msgspec.json.Decoder(Taken).decode


@dataclass(frozen=True, slots=True)
class Plan:
    """What one agent does in a round."""

    url: str
    name: str
    groups: int
    """In each lease."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of it; moments by the machine's monotonic clock."""

    results: int
    began_at: float
    ended_at: float
    leases_s: Sequence[float]
    posts_s: Sequence[float]


def main() -> None:
    """Measure both on each database, and print how often as fast ours is."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = ["postgresql", "sqlite"]
    parser.add_argument("--database", choices=kinds, nargs="+", default=kinds)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--agents", type=int, default=4)
    parser.add_argument("--batch", type=int, default=500, help="tasks a lease")
    parser.add_argument("--seconds", type=float, default=10, help="for each server")
    parser.add_argument("--only", choices=[OURS, THEIRS])
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.agents) as agents:
        for kind in options.database:
            say(f"{kind}, {options.tasks} tasks, {options.agents} agents:")
            rates = {
                name: _measure(name, kind, options, agents)
                for name in ([options.only] if options.only else [OURS, THEIRS])
            }
            if len(rates) > 1:
                say(f"  ours / {VERSION}: {rates[OURS] / rates[THEIRS]:.1f}")


def _measure(name: str, kind: str, options: argparse.Namespace, agents: Any) -> float:
    with (
        TemporaryDirectory(prefix="argos-bench-") as folder,
        make_database(kind) as url,
        _serve(Path(folder) / "argos", url, name, options.tasks) as (argos, pid),
    ):
        again = _make_ours_due if name == OURS else _make_theirs_due
        plans = [
            Plan(argos.url, f"agent-{place}", options.batch // len(CHECKS))
            for place in range(options.agents)
        ]
        _round(plans, agents)
        before = cpu_seconds(pid)
        tallies: list[list[Tally]] = []
        while sum(map(_seconds, tallies)) < options.seconds:
            again(argos)
            tallies.append(_round(plans, agents))
        cpu = cpu_seconds(pid) - before
        rate = _report(name, tallies, cpu)
        if name == OURS:
            say(f"    rollups recounted from the results: {recount(url)}")
        return rate


@contextmanager
def _serve(
    folder: Path, url: str, name: str, tasks: int
) -> Iterator[tuple[Installation, int]]:
    """A server with its tasks, all of which are due, and its process."""
    websites = [
        {
            "domain": f"https://site{place}.example.org",
            "frequency": "5m",
            "paths": [{"path": "/", "checks": list(CHECKS)}],
        }
        for place in range(tasks // len(CHECKS))
    ]
    command: Sequence[str | Path] = ARGOS
    if name == THEIRS:
        command = [find_ancestor(ROOT / f".pytest_cache/d/argos-{VERSION}")]
    config = make_config(websites, database_url=for_everybody(url))
    argos = Installation(folder, config, command=command)
    argos.prepare()
    with argos.start_server() as server:
        yield argos, server.pid


def _make_ours_due(argos: Installation) -> None:
    now = utcnow()
    database = Database(argos.database_url)
    with database.transaction() as session:
        session.execute(update(Schedule).values(due_at=now, next_run=now))
    database.close()


def _make_theirs_due(argos: Installation) -> None:
    # It keeps local times; the server's zone is UTC.
    before = (utcnow() - timedelta(minutes=1)).replace(tzinfo=None)
    argos.execute(f"UPDATE tasks SET next_run = '{before}', selected_by = NULL")


def _round(plans: Sequence[Plan], agents: Any) -> list[Tally]:
    tallies: list[Tally] = agents.map(work, plans, chunksize=1)
    return tallies


def work(plan: Plan) -> Tally:
    """Lease what is due and report it, as fast as the server lets us."""
    connection = HTTPConnection(urlsplit(plan.url).netloc, timeout=60)
    name = {"agent_id": plan.name}
    # As our own agents ask; 0.10.3 takes no notice of what it does not know.
    wish = name | {"limit": plan.groups, "capabilities": "ipv6", "lean": 1}
    lease, report = f"/api/tasks?{urlencode(wish)}", f"/api/results?{urlencode(name)}"
    results, leases, posts = 0, list[float](), list[float]()
    begin = time.monotonic()
    while True:
        start = time.monotonic()
        tasks = _read_tasks(_call(connection, "GET", lease))
        if not tasks:
            break
        middle = time.monotonic()
        body = msgspec.json.encode([_item(task) for task in tasks])
        results += len(_read_answer(_call(connection, "POST", report, body)).result_ids)
        leases.append(middle - start)
        posts.append(time.monotonic() - middle)
    connection.close()
    return Tally(results, begin, time.monotonic(), leases, posts)


def _item(task: Handed) -> dict[str, Any]:
    """A result, as the server's own agents have it."""
    item: dict[str, Any] = {
        "task_id": task.id,
        "status": "success",
        "context": {"expected": "200", "retrieved": 200},
    }
    if task.lease_no is not None:
        item |= {
            "lease_no": task.lease_no,
            "leased_at": task.leased_at,
            "elapsed_us": 1_000 + task.group_id % 1_000,  # of all checks of a run
            "timings": TIMINGS,
        }
    return item


def _call(
    connection: HTTPConnection, method: str, path: str, body: bytes | None = None
) -> bytes:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    content = response.read()
    assert response.status in {200, CREATED}, content
    return content


def _seconds(tallies: Sequence[Tally]) -> float:
    return max(one.ended_at for one in tallies) - min(one.began_at for one in tallies)


def _report(name: str, rounds: Sequence[Sequence[Tally]], cpu: float) -> float:
    seconds = sum(map(_seconds, rounds))
    tallies = [tally for round_ in rounds for tally in round_]
    results = sum(tally.results for tally in tallies)
    leases = [each for tally in tallies for each in tally.leases_s]
    posts = [each for tally in tallies for each in tally.posts_s]
    say(
        f"  {name:8}{results / seconds:10,.0f} results/s over {seconds:.0f} s,"
        f" server {cpu / max(results, 1) * 1e6:.0f} us of CPU per result,"
        f" lease p50/p99 {quantile_ms(leases)} ms, post {quantile_ms(posts)} ms,"
        f" at {utcnow():%H:%M} UTC, load {os.getloadavg()[0]:.0f}"
    )
    return results / seconds


if __name__ == "__main__":
    sys.exit(main())
