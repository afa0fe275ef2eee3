"""How many checks a second, and what each costs: `python -m bench.probe`.

Every check opens a connection of its own, reads a page of 602 bytes and takes the
times; over HTTPS the certificate is verified. Beside one probe worker (over HTTP as it
does it, and once more by libcurl) runs httpx 0.28 (the client of Argos 0.10.3, installed
as that was, on uvloop), httpx2 as our fallback engine, and wrk as the limit, in turn on
the same core; nginx has another one. The ratios of one run say more than any figure.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import time
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import uvloop

from argos.agent.engine.httpx_engine import HttpxEngine
from argos.agent.engine.interface import EngineSettings
from argos.core.probe import Probe, ProbeResponse
from bench.probe.website import Website, running_website
from bench.probe.worker import busy_worker
from bench.probe.wrk import run_wrk
from tests.e2e.ancestor import VERSION, find_ancestor
from tests.tree import ROOT

WORKER = "probe worker"
BY_LIBCURL = "the same, by libcurl"
HTTPX = "httpx 0.28"
HTTPX_CLIENT = Path(__file__).with_name("httpx_client.py")
WRK = "wrk, Connection: close"


@dataclass(frozen=True, slots=True)
class Measuring:
    """What all subjects have in common."""

    website: Website
    seconds: float
    under_way: int
    core: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured."""

    subject: str
    scheme: str
    checks_per_second: float
    cpu_us: float
    """Of the process that makes the checks, for each check."""
    memory_mb: float = 0.0


def main() -> None:
    """Read the options, run, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.probe", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="per figure")
    parser.add_argument("--under-way", type=int, default=100, help="checks at once")
    parser.add_argument("--rounds", type=int, default=3, help="the best one counts")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    python = find_ancestor(ROOT / f".pytest_cache/d/argos-{VERSION}").with_name(
        "python"
    )
    with running_website(cores[-1] if len(cores) > 1 else None) as website:
        measuring = Measuring(website, options.seconds, options.under_way, cores[0])
        # We only feed the worker; what little that takes is nginx's core's.
        os.sched_setaffinity(0, {cores[-1]})
        rounds = [
            [
                figures
                for scheme in ("http", "https")
                for figures in _measure_all(measuring, scheme, python)
            ]
            for _ in range(options.rounds)
        ]
    # Whatever else the machine does can only make a check dearer.
    _print([min(same, key=attrgetter("cpu_us")) for same in zip(*rounds, strict=True)])


def _measure_all(measuring: Measuring, scheme: str, python: Path) -> list[Figures]:
    url = measuring.website.http if scheme == "http" else measuring.website.https
    rows = [
        _worker(measuring, WORKER, scheme, url),
        _httpx(measuring, scheme, url, python),
        _fallback(measuring, scheme, url),
    ]
    if scheme == "http":
        # The dot is libcurl's to take out, so that it has to make the whole request.
        longer = url.replace("/index", "/./index")
        rows.append(_worker(measuring, BY_LIBCURL, scheme, longer))
        rate, cpu_us = run_wrk(
            url,
            seconds=measuring.seconds,
            under_way=measuring.under_way,
            core=measuring.core,
        )
        rows.append(Figures(WRK, scheme, rate, cpu_us))
    return rows


def _worker(measuring: Measuring, subject: str, scheme: str, url: str) -> Figures:
    ca_file = measuring.website.ca_file
    with busy_worker(
        Probe(url), ca_file=ca_file, under_way=measuring.under_way
    ) as worker:
        os.sched_setaffinity(worker.pid, {measuring.core})
        worker.run(measuring.seconds / 4)
        process = psutil.Process(worker.pid)
        before, began_at = process.cpu_times(), time.perf_counter()
        done = worker.run(measuring.seconds)
        elapsed, after = time.perf_counter() - began_at, process.cpu_times()
        memory = process.memory_info().rss
    cpu_s = after.user + after.system - before.user - before.system
    return Figures(subject, scheme, done / elapsed, cpu_s / done * 1e6, memory / 2**20)


def _httpx(measuring: Measuring, scheme: str, url: str, python: Path) -> Figures:
    with TemporaryDirectory(prefix="argos-bench-") as name:
        # The one thing of ours that it gets: it would be slower without.
        folder = Path(uvloop.__file__).parent
        (Path(name) / "uvloop").symlink_to(folder)
        arguments = (url, measuring.website.ca_file, measuring.seconds)
        done = subprocess.run(
            [
                *("taskset", "-c", str(measuring.core), python, HTTPX_CLIENT),
                *map(str, (*arguments, measuring.under_way)),
            ],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": name},
            stdout=subprocess.PIPE,
            check=True,
        )
    said = json.loads(done.stdout)
    assert said["version"].startswith("0.28."), said
    assert said["checks"], "httpx made no check in this time: give it more seconds"
    return Figures(
        HTTPX,
        scheme,
        said["checks"] / said["elapsed_s"],
        said["cpu_s"] / said["checks"] * 1e6,
        said["memory_mb"],
    )


def _fallback(measuring: Measuring, scheme: str, url: str) -> Figures:
    ours = os.sched_getaffinity(0)
    try:
        return uvloop.run(_run_fallback(measuring, scheme, url))
    finally:
        os.sched_setaffinity(0, ours)


async def _run_fallback(measuring: Measuring, scheme: str, url: str) -> Figures:
    engine = HttpxEngine(
        EngineSettings(slots=measuring.under_way, ca_file=measuring.website.ca_file)
    )
    await engine.start()
    os.sched_setaffinity(0, {measuring.core})
    counts = [0]
    is_over = asyncio.Event()

    async def keep_checking() -> None:
        while not is_over.is_set():
            outcome = await engine.probe(Probe(url))
            assert isinstance(outcome, ProbeResponse), outcome
            counts[0] += 1

    tasks = [asyncio.create_task(keep_checking()) for _ in range(measuring.under_way)]
    await asyncio.sleep(measuring.seconds / 4)
    done, cpu_s, began_at = counts[0], _own_cpu_s(), time.perf_counter()
    await asyncio.sleep(measuring.seconds)
    done, elapsed = counts[0] - done, time.perf_counter() - began_at
    cpu_s = _own_cpu_s() - cpu_s
    is_over.set()
    await asyncio.gather(*tasks)
    await engine.close()
    memory = psutil.Process().memory_info().rss / 2**20
    name = "httpx2, our fallback"
    return Figures(name, scheme, done / elapsed, cpu_s / done * 1e6, memory)


def _own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _print(rows: list[Figures]) -> None:
    header = f"{'checks/s':>10}{'CPU us':>9}{'MB':>7}{'CPU, worker 1':>15}"
    print(f"{'':25}{'':7}{header}")
    workers = {row.scheme: row for row in rows if row.subject == WORKER}
    for row in rows:
        ratio = row.cpu_us / workers[row.scheme].cpu_us
        print(
            f"{row.subject:25}{row.scheme:7}{row.checks_per_second:10,.0f}"
            f"{row.cpu_us:9,.0f}{row.memory_mb:7.1f}{ratio:15.2f}"
        )
    [limit] = [row for row in rows if row.subject == WRK]
    share = workers["http"].checks_per_second / limit.checks_per_second
    print(f"the worker makes {share:.0%} of the checks a second that wrk makes")


if __name__ == "__main__":
    main()
