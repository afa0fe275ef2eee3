"""Run one seed, or some, and say what it broke: `python -m tests.simulator --seed N`."""

import argparse
import logging
import sys
import time

from tests.simulator.checker import violations
from tests.simulator.scenario import located, scenario_of
from tests.simulator.world import simulate


def main() -> int:
    """Simulate the seeds asked for; the exit code tells whether all promises held."""
    parser = argparse.ArgumentParser(prog="tests.simulator", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--located", action="store_true", help="of several places")
    parser.add_argument("--verbose", action="store_true", help="show the product's log")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO if options.verbose else logging.CRITICAL)
    broken = 0
    for seed in range(options.seed, options.seed + options.count):
        scenario = located(seed) if options.located else scenario_of(seed)
        begun = time.process_time()
        history = simulate(scenario)
        spent = time.process_time() - begun
        found = violations(history)
        broken += bool(found)
        sys.stdout.write(
            f"seed {seed}: {spent:.2f} s; {len(history.leases)} leases, "
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
