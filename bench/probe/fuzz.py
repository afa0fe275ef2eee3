"""Does any answer harm the probe engine? `python -m bench.probe.fuzz --count 100000`.

Recorded answers, mutated by seed, come from a server on loopback to one probe worker,
many at once. Told are the outcomes, the longest probe and the worker's memory; and, with
the seeds that show it, each crash, each probe that ended later than its deadline and a
second, each body beyond its cap, each failure that the engine blames on itself, and each
healthy answer in between that was spoilt. Exit status 1 if there was any.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import psutil
import uvloop

from argos.agent.engine.curl_engine import CurlEngine
from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.link import worker_environment
from tests.agent.engine.certificates import CertificateShop
from tests.agent.engine.fuzz import Findings, fuzz, fuzzing
from tests.agent.engine.servers import server_thread

CHUNK = 10_000
MAX_GROWTH_MIB = 128
"""What a worker may hold of bodies."""


def main() -> None:
    """Read the options, run, and tell."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.probe.fuzz", description=__doc__
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--at-once", type=int, default=100)
    parser.add_argument("--scheme", choices=["http", "https"], default="http")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server_thread() as thread:
        shop = CertificateShop(Path(folder))
        tls = shop.context("good") if options.scheme == "https" else None
        root = f"{options.scheme}://127.0.0.1:{thread.serve(fuzzing(), tls=tls)}/"
        sys.exit(uvloop.run(_run(root, shop.ca_file, options)))


async def _run(root: str, ca_file: str, options: argparse.Namespace) -> int:
    settings = EngineSettings(slots=options.at_once, ca_file=ca_file)
    engine = CurlEngine(settings, environment=worker_environment(os.environ))
    await engine.start()
    total = Findings()
    base_mib = _memory_mib(engine)
    most_mib = base_mib
    for start in range(options.first, options.first + options.count, CHUNK):
        end = min(start + CHUNK, options.first + options.count)
        found = await fuzz(engine, root, range(start, end), at_once=options.at_once)
        total.outcomes += found.outcomes
        total.longest_s = max(total.longest_s, found.longest_s)
        for fault, seeds in found.faults.items():
            total.faults.setdefault(fault, []).extend(seeds)
        most_mib = max(most_mib, _memory_mib(engine))
    restarts = engine.restarts
    await engine.close()
    print(dict(total.outcomes.most_common()))
    print(
        f"longest {total.longest_s:.2f} s; memory {base_mib:.0f} to {most_mib:.0f} MiB;"
    )
    print(f"{restarts} workers lost; {len(total.faults)} kinds of faults")
    for fault, seeds in total.faults.items():
        print(f"  {fault}: {len(seeds)} times, such as {seeds[:5]}")
    is_fat = most_mib - base_mib > MAX_GROWTH_MIB
    return int(bool(total.faults or restarts or is_fat))


def _memory_mib(engine: CurlEngine) -> float:
    return sum(psutil.Process(pid).memory_info().rss for pid in engine.pids) / 2**20


if __name__ == "__main__":
    main()
