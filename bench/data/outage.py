"""What a report costs in a mass outage: websites that fail one after the other, and end.

All tasks fail at one address, so that their incidents are gathered under one, and get well
again in the same order. Nothing but the server's own `ingest` is called, in this process.

    python -m bench.data.outage --members 10000 20000 40000
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text, update

from argos.clock import utcnow
from argos.schemas import Config
from argos.server.database import Database
from argos.server.models import Schedule
from argos.server.services.ingest import ingest
from bench.data.fleet import CHECKS, Fleet
from bench.data.reckoning import say
from bench.data.running import make_database
from bench.scale.effort import backend_pids, cpu_ms
from tests.server.factories import make_config

AGENT = "agent-0"
GROUPS = 100
"""In each report, of five tasks each."""
SPREAD = timedelta(minutes=5)
"""From the first failure to the last: all of them may have begun together."""
LAST_REPORTS = 10
REFUSED = {
    "error_message": "refused", "error_type": "connect", "address": "192.0.2.1",
}  # fmt: skip


def main() -> None:
    """Measure, and print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = ["sqlite", "postgresql"]
    parser.add_argument("--databases", nargs="*", choices=kinds, default=kinds)
    parser.add_argument(
        "--members", nargs="*", type=int, default=[10_000, 20_000, 40_000]
    )
    options = parser.parse_args()
    for kind in options.databases:
        with make_database(kind) as url, TemporaryDirectory() as folder:
            _outage(kind, url, Path(folder), sorted(options.members))


def _outage(kind: str, url: str, folder: Path, sizes: Sequence[int]) -> None:
    groups = max(sizes) // len(CHECKS)
    Fleet(groups, is_leased=True).fill(url)
    _add_websites(url)
    config = make_config(folder, url=url).config
    database = Database(url)
    say(
        f"{kind}; load {os.getloadavg()[0]:.1f}; CPU us a result, of all and of the last:"
    )
    begin = utcnow() + timedelta(minutes=1)
    for name, facts, moment, lease_no in (
        ("fail", REFUSED, begin, 1),
        ("get well", None, begin + 2 * SPREAD, 2),
    ):
        if lease_no > 1:
            _lease_again(database, moment, lease_no)
        costs = []
        for place, report in enumerate(_reports(groups, facts, moment, lease_no)):
            now = moment + SPREAD * place * GROUPS / groups
            costs.append(_cost(database, config, report, now))
            members = (place + 1) * GROUPS * len(CHECKS)
            if members in sizes:
                last = statistics.mean(costs[-LAST_REPORTS:])
                _analyze(database)
                say(f"  {name} {members:7}: {statistics.mean(costs):6.0f} {last:6.0f}")
    with database.reading() as session:
        rows = session.execute(
            text("SELECT count(*), count(parent_id), count(closed_at) FROM incidents")
        )
        say(f"  incidents, gathered, closed: {tuple(rows.one())}")
    database.close()


def _add_websites(url: str) -> None:
    """One for each task group: incidents of one website are found by it."""
    database = Database(url)
    with database.transaction() as session:
        session.execute(
            text(
                "INSERT INTO websites (domain, host) SELECT DISTINCT domain, domain"
                " FROM tasks"
            )
        )
        session.execute(
            text(
                "UPDATE tasks SET website_id ="
                " (SELECT w.id FROM websites w WHERE w.domain = tasks.domain)"
            )
        )
    _analyze(database)
    database.close()


def _analyze(database: Database) -> None:
    """As PostgreSQL does by itself in an outage, which takes longer than here."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")


def _lease_again(database: Database, now: datetime, lease_no: int) -> None:
    with database.transaction() as session:
        session.execute(
            update(Schedule).values(
                leased_by=AGENT, leased_at=now, lease_no=lease_no, due_at=now
            )
        )


def _reports(
    groups: int, facts: dict[str, Any] | None, leased_at: datetime, lease_no: int
) -> Iterator[list[dict[str, Any]]]:
    for first in range(1, groups + 1, GROUPS):
        yield [
            {
                "task_id": task_id,
                "status": "success" if facts is None else "failure",
                "context": facts or {},
                "lease_no": lease_no,
                "leased_at": leased_at.isoformat(),
                "elapsed_us": 0,
            }
            for group in range(first, min(first + GROUPS, groups + 1))
            for task_id in Fleet.task_ids(group)
        ]


def _cost(
    database: Database, config: Config, report: list[dict[str, Any]], now: datetime
) -> float:
    """CPU of this process and of the database, in microseconds a result."""
    pids = backend_pids(database)
    before, begin = cpu_ms(pids), time.process_time()
    answer = ingest(database, agent=AGENT, items=report, config=config, now=now)
    assert not answer.refused, answer.refused[:1]
    spent = time.process_time() - begin + (cpu_ms(pids) - before) / 1000
    return spent / len(report) * 1e6


if __name__ == "__main__":
    main()
