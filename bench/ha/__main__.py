"""High availability, tried for real.

    python -m bench.ha [--kills 3] [--pages 100]

etcd, two PostgreSQL under Patroni with synchronous replication, HAProxy and PgBouncer, by the
configs of docs/howto/high-availability.md, on loopback; two Argos servers, four agents, and
a website that breaks and heals. Under this load the primary is killed, again and again; the
old one comes back in between. At last it hands over in peace. Exits with 1 when something was lost or doubled, or when nothing
was taken in for more than 30 seconds, and with 2 when packages are missing.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from random import Random

from argos.server.database import Database
from bench.ha import judging
from bench.ha.cluster import Cluster
from bench.ha.fleet import AGENTS, Fleet
from bench.ha.outage import Outage, fail_over, switch_over
from bench.ha.packages import missing_packages
from tests.nemesis.website import Website

INGEST_LIMIT_S = 30.0
PEACE_S = 10.0
"""Of load before each kill."""


def main() -> int:
    """Run it, print a table; 0 when nothing was lost, doubled or late."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--pages", type=int, default=100, help="each every second")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    missing = missing_packages()
    if missing:
        print(f"These Debian packages are missing: {' '.join(missing)}")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with ExitStack() as stack:
        cluster = Cluster()
        stack.callback(cluster.close)
        website = Website(Random(chosen.seed))
        stack.callback(website.close)
        try:
            return _run(stack, cluster, website, chosen)
        except AssertionError:
            print(cluster.log_tails())
            raise


def _run(
    stack: ExitStack, cluster: Cluster, website: Website, chosen: argparse.Namespace
) -> int:
    cluster.start(_say)
    fleet = Fleet(cluster, website, pages=chosen.pages)
    stack.callback(fleet.close)
    fleet.start()
    _say(f"{AGENTS} agents watch {chosen.pages} pages every second by 2 servers")
    outages = []
    for number in range(1, chosen.kills + 1):
        time.sleep(PEACE_S)
        outage = fail_over(cluster, fleet.front.ledger)
        _say(f"{number}: {outage}")
        outages.append(outage)
    time.sleep(PEACE_S)
    outages.append(switch_over(cluster, fleet.front.ledger))
    _say(str(outages[-1]))
    time.sleep(PEACE_S)
    fleet.quieten()
    with closing(Database(cluster.machines.database_url(1))) as database:
        return _judge(database, fleet, outages)


def _judge(database: Database, fleet: Fleet, outages: list[Outage]) -> int:
    ledger = fleet.front.ledger
    looks: dict[str, Callable[[], list[str]]] = {
        "accepted results lost": partial(judging.lost_results, database, ledger),
        "results doubled": partial(judging.doubled_results, database),
        "tasks whose events are doubled or out of order": partial(
            judging.wrong_events, database
        ),
        "tasks whose events are not what their results make": partial(
            judging.wrong_story, database
        ),
        "rollups unlike a recount": partial(judging.wrong_rollups, database),
        "answers of 5xx without Retry-After": lambda: ledger.faults,
        "tracebacks in the logs of servers and agents": fleet.tracebacks,
        f"failovers longer than {INGEST_LIMIT_S:.0f} s": lambda: [
            str(outage) for outage in outages if outage.resumed_s > INGEST_LIMIT_S
        ],
    }
    _say(
        "\n| | new primary | results taken in again | from all agents |"
        " old primary stands by again |\n|---|---|---|---|---|"
    )
    for outage in outages:
        _say(outage.row)
    _say(
        f"\n{len(ledger.accepted):,} results accepted in {len(ledger.taken):,} reports"
        f" (the slowest took {ledger.slowest_s:.1f} s), {ledger.refused} refused;"
        f" {judging.count_rows(database, 'results'):,} stored,"
        f" {judging.count_rows(database, 'events'):,} events; answers:"
        f" {dict(sorted(ledger.statuses.items()))}\n"
    )
    is_faulty = False
    for what, look in looks.items():
        faults = look()
        is_faulty = is_faulty or bool(faults)
        _say("\n".join([f"{what}: {len(faults)}", *faults[:5]]))
    return int(is_faulty)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
