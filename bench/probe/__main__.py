"""How many checks a second, and what each costs: `python -m bench.probe`.

Every check opens a connection of its own, reads a page of 602 bytes and takes the
times; over HTTPS it takes the certificate too. Beside libcurl's worker runs httpx2,
as the fallback engine and as a plain client, in the same minute on the same machine;
the ratio of the two says more than either figure.
"""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from operator import attrgetter

import httpx2
import psutil
import uvloop

from argos.agent.engine.curl_engine import CurlEngine
from argos.agent.engine.httpx_engine import HttpxEngine
from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.link import worker_environment
from argos.clock import system_clock
from argos.core.probe import Outcome, Probe, ProbeResponse
from bench.probe.website import Website, running_website

Check = Callable[[str], Awaitable[bool]]
"""One check of a URL; True if it brought the page."""


@dataclass(frozen=True)
class Subject:
    """What is measured."""

    name: str
    check: Check
    pids: tuple[int, ...]
    """The processes that make the checks."""


@dataclass(frozen=True)
class Figures:
    """What was measured."""

    subject: str
    scheme: str
    checks_per_second: float
    cpu_us: float
    """Of the processes that make the checks, for each check."""
    agent_cpu_us: float
    """Of the agent's own process, for each check."""
    memory_mb: float
    """Of the processes that make the checks, at the end."""


def main() -> None:
    """Read the options, run, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.probe", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="per figure")
    parser.add_argument("--under-way", type=int, default=100, help="checks at once")
    parser.add_argument("--rounds", type=int, default=3, help="the best one counts")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with running_website(cores[-1] if len(cores) > 1 else None) as website:
        rounds = [
            uvloop.run(_run_all(website, options.seconds, options.under_way))
            for _ in range(options.rounds)
        ]
    # Whatever else the machine does can only make a check dearer.
    _print([min(same, key=attrgetter("cpu_us")) for same in zip(*rounds, strict=True)])


async def _run_all(website: Website, seconds: float, under_way: int) -> list[Figures]:
    rows = []
    for scheme, url in (("http", website.http), ("https", website.https)):
        for open_subject in (_curl, _curl_without_certificate, _httpx_engine, _httpx):
            async with open_subject(website, under_way) as subject:
                figures = await _measure(subject, url, seconds, under_way)
                rows.append(replace(figures, scheme=scheme))
    async with _curl(website, under_way) as subject:
        await subject.check(website.https)
        memory = sum(psutil.Process(pid).memory_info().rss for pid in subject.pids)
        rows.append(Figures("worker, idle", "", 0, 0, 0, memory / 2**20))
    return rows


async def _measure(
    subject: Subject, url: str, seconds: float, under_way: int
) -> Figures:
    counts = {True: 0, False: 0}
    is_over = asyncio.Event()

    async def keep_checking() -> None:
        while not is_over.is_set():
            counts[await subject.check(url)] += 1

    tasks = [asyncio.create_task(keep_checking()) for _ in range(under_way)]
    await _wait(is_over, seconds / 8)
    done, began_at = counts[True], system_clock.monotonic()
    cpu, own_cpu = _cpu(subject.pids), _cpu((os.getpid(),))
    await _wait(is_over, seconds)
    done, elapsed = counts[True] - done, system_clock.monotonic() - began_at
    cpu, own_cpu = _cpu(subject.pids) - cpu, _cpu((os.getpid(),)) - own_cpu
    memory = sum(psutil.Process(pid).memory_info().rss for pid in subject.pids)
    is_over.set()
    await asyncio.gather(*tasks)
    if counts[False] or not done:
        raise SystemExit(f"{subject.name}: {counts[False]} checks failed")
    return Figures(
        subject=subject.name,
        scheme="",
        checks_per_second=done / elapsed,
        cpu_us=cpu / done * 1e6,
        agent_cpu_us=own_cpu / done * 1e6,
        memory_mb=memory / 2**20,
    )


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _cpu(pids: tuple[int, ...]) -> float:
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(time.user + time.system for time in times)


def _is_page(outcome: Outcome) -> bool:
    return isinstance(outcome, ProbeResponse) and len(outcome.body) > 500


@asynccontextmanager
async def _curl(
    website: Website, under_way: int, *, wants_certificate: bool = True
) -> AsyncIterator[Subject]:
    settings = EngineSettings(slots=max(under_way, 1), ca_file=website.ca_file)
    engine = CurlEngine(settings, environment=worker_environment(os.environ))
    await engine.start()
    os.sched_setaffinity(engine.pids[0], {min(os.sched_getaffinity(0))})

    async def check(url: str) -> bool:
        probe = Probe(url, wants_certificate=wants_certificate)
        return _is_page(await engine.probe(probe))

    name = "libcurl worker" + ("" if wants_certificate else ", no certificate")
    yield Subject(name, check, engine.pids)
    await engine.close()


def _curl_without_certificate(website: Website, under_way: int):  # type: ignore[no-untyped-def]  # as `_curl`
    return _curl(website, under_way, wants_certificate=False)


@asynccontextmanager
async def _httpx_engine(website: Website, under_way: int) -> AsyncIterator[Subject]:
    engine = HttpxEngine(EngineSettings(slots=under_way, ca_file=website.ca_file))
    await engine.start()

    async def check(url: str) -> bool:
        return _is_page(await engine.probe(Probe(url)))

    yield Subject("httpx2, our fallback", check, (os.getpid(),))
    await engine.close()


@asynccontextmanager
async def _httpx(website: Website, _under_way: int) -> AsyncIterator[Subject]:
    limits = httpx2.Limits(max_keepalive_connections=0, max_connections=None)
    context = httpx2.create_ssl_context(website.ca_file)
    timeout = timedelta(seconds=60).total_seconds()
    async with httpx2.AsyncClient(
        limits=limits, verify=context, timeout=timeout, trust_env=False
    ) as client:

        async def check(url: str) -> bool:
            return len((await client.get(url)).content) > 500

        yield Subject("httpx2, plain client", check, (os.getpid(),))


def _print(rows: list[Figures]) -> None:
    print(
        f"{'':31}{'':7}{'checks/s':>10}{'CPU us':>9}{'agent us':>10}{'MB':>7}{'ratio':>8}"
    )
    base = {row.scheme: row.cpu_us for row in rows if row.subject == "libcurl worker"}
    for row in rows:
        if not row.scheme:
            print(f"{row.subject:31}{'':36}{row.memory_mb:7.1f}")
            continue
        print(
            f"{row.subject:31}{row.scheme:7}{row.checks_per_second:10,.0f}"
            f"{row.cpu_us:9,.0f}{row.agent_cpu_us:10,.0f}{row.memory_mb:7.1f}"
            f"{row.cpu_us / base[row.scheme]:8.1f}"
        )


if __name__ == "__main__":
    main()
