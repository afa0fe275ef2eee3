"""How many bytes a stored result takes, indexes and all, on both databases.

The queries that ingest uses store half a million results of 20,000 tasks, in the order in
which agents would bring them. Run it from the repository's root:

    python bench/data/size.py
"""

import argparse
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sqlalchemy import text  # noqa: E402  # the path first

from argos.core.severity import Severity, Status  # noqa: E402  # the path first
from argos.server.database import Database  # noqa: E402  # the path first
from argos.server.queries.partitions import pack_partition  # noqa: E402
from argos.server.queries.storing import (  # noqa: E402  # the path first
    NewResult,
    RunResults,
    add_results,
    add_run_results,
)
from bench.data.fleet import CHECKS, Fleet  # noqa: E402
from bench.data.reckoning import say  # noqa: E402
from bench.data.running import make_database  # noqa: E402

TIMINGS = (500, 900, 21_000, 42_000, 300, 64_900, 0)
BATCH_GROUPS = 100
KINDS = {
    "ok, nothing to say, with timings": (Severity.OK, "{}", TIMINGS),
    "ok, nothing to say, of an agent of 0.10.3": (Severity.OK, "{}", ()),
    "failure with its reason": (
        Severity.CRITICAL,
        '{"expected": 200, "retrieved": 503,'
        ' "reason": "The status code is 503 instead of 200."}',
        TIMINGS,
    ),
}
DAY = datetime(2026, 3, 14, tzinfo=UTC)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--groups", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    say("database    bytes a result")
    for kind in options.databases:
        for label, sample in KINDS.items():
            with make_database(kind) as url:
                Fleet(groups=options.groups).fill(url)
                database = Database(url)
                before = _size(database)
                count = _store(database, sample, options.groups, options.rounds)
                size = (_size(database) - before) / count
                packed = _pack(database, before) / count
                database.close()
            say(f"{kind:10} {size:6.0f}, packed {packed:6.0f}   {label}")


def _store(
    database: Database,
    sample: tuple[Severity, str, tuple[int, ...]],
    groups: int,
    rounds: int,
) -> int:
    severity, context, timings = sample
    status = Status.SUCCESS if severity is Severity.OK else Status.FAILURE
    order = list(range(1, groups + 1))
    random.Random(7).shuffle(order)  # the same order each time
    if not database.is_sqlite:
        with database.transaction() as session:
            session.execute(
                text(
                    "CREATE TABLE results_20260314 PARTITION OF results"
                    " FOR VALUES FROM ('2026-03-14') TO ('2026-03-15')"
                )
            )
    for turn in range(rounds):
        for start in range(0, groups, BATCH_GROUPS):
            part = sorted(order[start : start + BATCH_GROUPS])
            moment = DAY + turn * timedelta(minutes=5) + timedelta(milliseconds=start)
            runs = [Fleet.task_ids(group) for group in part]
            with database.transaction() as session:
                if severity is Severity.OK:  # taken over as a whole
                    contexts = [context] * len(CHECKS)
                    add_run_results(session, runs=[
                        RunResults(ids, contexts, "agent-1", moment, moment, timings)
                        for ids in runs
                    ])  # fmt: skip
                    continue
                add_results(session, results=[
                    NewResult(
                        task_id, "agent-1", moment, moment, status, severity, context,
                        False, False, *timings,  # neither late nor in maintenance
                    )
                    for ids in runs
                    for task_id in ids
                ])  # fmt: skip
    return groups * rounds * len(CHECKS)


def _size(database: Database) -> int:
    with database.engine.connect() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            return int(pages) * 4096
        sizes = connection.exec_driver_sql(
            "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits"
            " WHERE inhparent = 'results'::regclass"
        )
        return int(sizes.scalar_one())


def _pack(database: Database, before: int) -> int:
    """What is left when the day is over (PostgreSQL; SQLite has no days)."""
    if not database.is_sqlite:
        with database.outside() as connection:
            pack_partition(connection, DAY.date())
    return _size(database) - before


if __name__ == "__main__":
    main()
