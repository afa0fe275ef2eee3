"""How many results a server takes over per second, HTTP and all, on both databases.

A real server on loopback, with as many tasks as wanted; agents in processes of their own.
They post batches that were made before the clock starts, each task group once. What leases
cost besides is `bench.data.loop`. Run it from the repository's root:

    python bench/data/ingest.py --database postgresql --tasks 1000000 --workers 2
    python bench/data/ingest.py --database sqlite --tasks 100000
    python bench/data/ingest.py --database postgresql --rate 5000
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import httpx2  # noqa: E402  # the path first

from argos.clock import utcnow  # noqa: E402  # the path first
from bench.data.fleet import CHECKS, Fleet  # noqa: E402
from bench.data.reckoning import (  # noqa: E402
    cpu_seconds,
    quantile_ms,
    recount,
    say,
)
from bench.data.running import make_database, run_server  # noqa: E402
from tests.server.factories import SECRET, make_config  # noqa: E402

HEADERS = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
CONTEXT = {"expected": 200, "retrieved": 200}
TIMINGS = {
    "dns_us": 500, "connect_us": 900, "tls_us": 21_000, "first_byte_us": 42_000,
    "transfer_us": 300, "total_us": 64_900, "timing_error_us": 120,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What one agent does."""

    url: str
    name: str
    groups: range
    """The task groups that it holds."""
    leased_at: str
    batch: int
    seconds: float
    pause_s: float
    """From the begin of one post to that of the next."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of it."""

    results: int
    posts_s: list[float]
    seconds: float


def main() -> None:
    """Measure, and print a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], required=True)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--agents", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="server processes")
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument(
        "--rate", type=float, default=0, help="results/s; 0: all it can"
    )
    parser.add_argument(
        "--keep", choices=["all", "changes"], default="all", help="`results.keep`"
    )
    options = parser.parse_args()
    fleet = Fleet(
        groups=options.tasks // len(CHECKS),
        agents=[f"agent-{place}" for place in range(options.agents)],
        is_leased=True,
        kept_context=json.dumps(CONTEXT) if options.keep == "changes" else None,
    )
    with TemporaryDirectory() as folder, make_database(options.database) as url:
        leased_at = fleet.fill(url)
        make_config(Path(folder), url=url, results={"keep": options.keep})
        config = Path(folder) / "config.yaml"
        with run_server(config, workers=options.workers) as server:
            plans = _plans(options, fleet, server.address, leased_at)
            before = cpu_seconds(server.pid)
            tallies = _run(plans)
            cpu = cpu_seconds(server.pid) - before
        _report(options, tallies, cpu)
        say(f"rollups recounted from the results: {recount(url)}")


def _plans(
    options: argparse.Namespace, fleet: Fleet, address: str, leased_at: str
) -> list[Plan]:
    pause_s = options.batch * options.agents / options.rate if options.rate else 0
    return [
        Plan(
            address, name, fleet.share(name), leased_at, options.batch,
            options.seconds, pause_s,
        )
        for name in fleet.agents
    ]  # fmt: skip


def _run(plans: Sequence[Plan]) -> list[Tally]:
    with multiprocessing.get_context("spawn").Pool(len(plans)) as pool:
        return pool.map(post, plans)


def post(plan: Plan) -> Tally:
    """Post what was made before."""
    step = plan.batch // len(CHECKS)
    bodies = [
        _body(plan, plan.groups[start : start + step])
        for start in range(0, len(plan.groups) - step + 1, step)
    ]
    posts: list[float] = []
    with httpx2.Client(base_url=plan.url, headers=HEADERS, timeout=60) as client:
        begin = time.perf_counter()
        for place, body in enumerate(bodies):
            time.sleep(max(0.0, begin + place * plan.pause_s - time.perf_counter()))
            start = time.perf_counter()
            if start - begin > plan.seconds:
                break
            _send(client, plan.name, body)
            posts.append(time.perf_counter() - start)
        seconds = time.perf_counter() - begin
    return Tally(len(posts) * plan.batch, posts, seconds)


def _body(plan: Plan, groups: range) -> bytes:
    return json.dumps([
        _item(task_id, 1, plan.leased_at, 1_000 + group)
        for group in groups
        for task_id in Fleet.task_ids(group)
    ]).encode()


def _item(task_id: int, lease_no: int, leased_at: str, elapsed_us: int) -> Any:
    return {
        "task_id": task_id,
        "status": "success",
        "context": CONTEXT,
        "lease_no": lease_no,
        "leased_at": leased_at,
        "elapsed_us": elapsed_us,
        "timings": TIMINGS,
    }


def _send(client: httpx2.Client, agent: str, body: bytes) -> None:
    answer = client.post("/api/results", params={"agent_id": agent}, content=body)
    assert answer.status_code == httpx2.codes.CREATED, answer.text
    document = answer.json()
    assert not document["refused"], document["refused"][0]


def _report(options: argparse.Namespace, tallies: Sequence[Tally], cpu: float) -> None:
    results = sum(tally.results for tally in tallies)
    seconds = max(tally.seconds for tally in tallies)
    posts = [each for tally in tallies for each in tally.posts_s]
    say(
        f"{options.database}, {options.tasks} tasks, {options.agents} agents,"
        f" {options.workers} server processes, batches of {options.batch}, keep:"
        f" {options.keep}, at"
        f" {utcnow():%H:%M} UTC:"
        f"\n  {results / seconds:,.0f} results/s over {seconds:.0f} s,"
        f" server {cpu / max(results, 1) * 1e6:.0f} us of CPU per result"
        f"\n  post p50/p99 {quantile_ms(posts)} ms"
    )


if __name__ == "__main__":
    main()
