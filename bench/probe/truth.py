"""Are the times true under load? `python -m bench.probe.truth`.

An agent's probe worker visits nginx at a steady rate, starts spread evenly, for about 40 %
of a core. nginx keeps its own `$request_time` of each visit; what the worker reports from
the first byte of its request on is set beside it. nginx's clock has milliseconds, so that
half of one is its own error.
"""

import argparse
import asyncio
import os
import re
from dataclasses import dataclass

import psutil
import uvloop

from argos.agent.engine.curl_engine import CurlEngine
from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.link import worker_environment
from argos.core.probe import Probe, ProbeResponse
from bench.probe.website import running_website


@dataclass(frozen=True, slots=True)
class Visit:
    """What the worker says of a visit."""

    total_ms: float
    error_ms: float
    is_trustworthy: bool


def main() -> None:
    """Read the options, run, and tell."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.probe.truth", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rate", type=float, default=2_000.0, help="visits a second")
    options = parser.parse_args()
    with running_website(None) as website:
        url = website.http.replace("index.html", "timed")
        visits, share = uvloop.run(_visit(url, options))
        _tell(visits, share, website.log.read_text())


async def _visit(
    url: str, options: argparse.Namespace
) -> tuple[dict[int, Visit], float]:
    settings = EngineSettings(slots=2_000)
    engine = CurlEngine(settings, environment=worker_environment(os.environ))
    await engine.start()
    loop = asyncio.get_running_loop()
    visits: dict[int, Visit] = {}
    worker = psutil.Process(engine.pids[0])

    async def visit(number: int) -> None:
        outcome = await engine.probe(Probe(f"{url}?n={number}"))
        timings = outcome.timings
        if isinstance(outcome, ProbeResponse) and timings.total_us is not None:
            visits[number] = Visit(
                timings.total_us / 1000,
                timings.timing_error_us / 1000,
                timings.is_trustworthy,
            )

    count = int(options.seconds * options.rate)
    began_at, cpu = loop.time(), worker.cpu_times()
    tasks = []
    for number in range(count):
        delay = began_at + number / options.rate - loop.time()
        if delay > 0:
            await asyncio.sleep(delay)
        tasks.append(asyncio.create_task(visit(number)))
    await asyncio.gather(*tasks)
    now = worker.cpu_times()
    used = now.user + now.system - cpu.user - cpu.system
    share = used / (loop.time() - began_at)
    await engine.close()
    return visits, share


def _tell(visits: dict[int, Visit], share: float, log: str) -> None:
    served = {
        int(number): float(seconds) * 1000
        for number, seconds in re.findall(r"^(\d+) ([\d.]+)$", log, re.MULTILINE)
    }
    print(
        f"{len(visits)} visits, worker {share:.0%} of a core; error of the total, ms:"
    )
    trusted = [number for number in visits if visits[number].is_trustworthy]
    for name, chosen in (("all", list(visits)), ("trustworthy", trusted)):
        errors = sorted(
            abs(visits[number].total_ms - served[number])
            for number in chosen
            if number in served
        )
        if errors:
            p50, p99 = (errors[int(len(errors) * part)] for part in (0.5, 0.99))
            print(f"{name:12}{len(errors):8}  p50 {p50:.2f}  p99 {p99:.2f}")
    bounds = sorted(visit.error_ms for visit in visits.values())
    p50, p99 = (bounds[int(len(bounds) * part)] for part in (0.5, 0.99))
    print(f"own bound on the error: p50 {p50:.2f}  p99 {p99:.2f}")


if __name__ == "__main__":
    main()
