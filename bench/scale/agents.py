"""Agents at work on the filled database: how fast they lease and report."""

import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

HEADERS = {"Authorization": "Bearer a-shared-secret-of-all-agents"}
GROUPS_AT_ONCE = 100
AGENTS = 2


def measure_agents(address: str, *, seconds: float) -> Iterator[str]:
    """Lease and report for a while, from a few agents at once."""
    end = time.perf_counter() + seconds
    with ThreadPoolExecutor(AGENTS) as threads:
        works = [threads.submit(_work, address, n, end) for n in range(AGENTS)]
        done = [work.result() for work in works]
    leases = [each for work in done for each in work[0]]
    posts = [each for work in done for each in work[1]]
    stored = sum(work[2] for work in done)
    yield f"lease of {GROUPS_AT_ONCE} groups: {_spread(leases)}"
    yield f"report of what they hold: {_spread(posts)}"
    yield f"{AGENTS} agents in this process stored {stored / seconds:.0f} results a second"


def _work(
    address: str, number: int, end: float
) -> tuple[list[float], list[float], int]:
    leases: list[float] = []
    posts: list[float] = []
    stored = 0
    query = {"agent_id": f"bench{number}", "capabilities": "ipv6"}
    with httpx2.Client(base_url=address, headers=HEADERS, timeout=60) as client:
        while time.perf_counter() < end:
            begin = time.perf_counter()
            answer = client.get("/api/tasks", params={**query, "limit": GROUPS_AT_ONCE})
            tasks: list[dict[str, Any]] = answer.raise_for_status().json()
            leased = time.perf_counter()
            leases.append(leased - begin)
            if not tasks:
                break
            posted = client.post("/api/results", params=query, json=_results(tasks))
            posted.raise_for_status()
            posts.append(time.perf_counter() - leased)
            stored += len(tasks)
    return leases, posts, stored


def _results(tasks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "task_id": task["id"],
            "status": "success",
            "context": {"expires_in": 60} if "ssl" in task["check"] else {},
            "lease_no": task["lease_no"],
            "leased_at": task["leased_at"],
            "elapsed_us": 1_000,
            "timings": {"dns_us": 500, "connect_us": 900, "total_us": 12_000},
        }
        for task in tasks
    ]


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "nothing was due"
    if len(seconds) == 1:
        return f"p50 {seconds[0] * 1000:.1f} ms, of one call"
    cuts = statistics.quantiles(seconds, n=100)
    return f"p50 {cuts[49] * 1000:.1f} ms, p99 {cuts[98] * 1000:.1f} ms"
