"""How many bytes a day of results takes, by what of them is kept, on both databases.

Tasks that are well are reported day and night, as `ingest` takes it from agents: rows,
rollups, queue and all. The whole database's growth has its rollups and what updates leave
behind in it. Run it from the repository's root:

    python bench/data/day.py
    python bench/data/day.py --minutes 1 --groups 100
"""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sqlalchemy import text, update  # noqa: E402  # the path first

from argos.schemas import Config  # noqa: E402
from argos.server.database import Database  # noqa: E402
from argos.server.models import Schedule  # noqa: E402
from argos.server.queries.partitions import (  # noqa: E402
    ensure_partitions,
    pack_partition,
)
from argos.server.services.ingest import ingest  # noqa: E402
from bench.data.fleet import CHECKS, Fleet  # noqa: E402
from bench.data.reckoning import recount, say  # noqa: E402
from bench.data.running import make_database  # noqa: E402
from tests.server.factories import make_config  # noqa: E402

AGENT = "agent-1"
DAY = datetime(2026, 3, 14, tzinfo=UTC)
BATCH_GROUPS = 100
TIMINGS = {
    "dns_us": 500, "connect_us": 900, "tls_us": 21_000, "first_byte_us": 42_000,
    "transfer_us": 300, "total_us": 64_900,
}  # fmt: skip
PARTITIONS = (
    "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits"
    " WHERE inhparent = 'results'::regclass"
)
PAGES = (
    "SELECT sum(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_master"
    " WHERE tbl_name = 'results')"
)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--groups", type=int, default=400)
    parser.add_argument("--minutes", type=int, default=5, help="from run to run")
    options = parser.parse_args()
    say(f"every {options.minutes} minutes: bytes a result: its row, packed, all growth")
    for kind in options.databases:
        for keep in ("all", "changes"):
            with TemporaryDirectory() as folder, make_database(kind) as url:
                Fleet(groups=options.groups).fill(url)
                config = make_config(Path(folder), url=url, results={"keep": keep})
                database = Database(url)
                row, packed, growth = _measure(database, config.config, options)
                database.close()
                say(
                    f"{kind:10} {keep:8} {row:7.1f} {packed:7.1f} {growth:7.1f}"
                    f"   rollups recounted: {recount(url)}"
                )


def _measure(
    database: Database, config: Config, options: argparse.Namespace
) -> tuple[float, float, float]:
    with database.transaction() as session:
        if not database.is_sqlite:
            ensure_partitions(session, now=DAY)
    before = _sizes(database)
    rounds = 24 * 60 // options.minutes
    for turn in range(rounds):
        moment = DAY + turn * timedelta(minutes=options.minutes)
        _run_all(database, config, moment, options.groups)
    count = options.groups * len(CHECKS) * rounds
    after = _sizes(database)
    if not database.is_sqlite:
        with database.outside() as connection:
            pack_partition(connection, DAY.date())
    packed = _sizes(database)
    return (
        (after[0] - before[0]) / count,
        (packed[0] - before[0]) / count,
        (after[1] - before[1]) / count,
    )


def _run_all(database: Database, config: Config, moment: datetime, groups: int) -> None:
    """Each task group is leased, and reported in batches."""
    with database.transaction() as session:
        session.execute(
            update(Schedule).values(
                lease_no=Schedule.lease_no + 1, leased_by=AGENT, leased_at=moment
            )
        )
        rows = session.execute(text("SELECT id, lease_no FROM schedule"))
        leases = {row.id: row.lease_no for row in rows}
    for start in range(1, groups + 1, BATCH_GROUPS):
        items = [
            {
                "task_id": task_id,
                "status": "success",
                "context": {},
                "lease_no": leases[group],
                "leased_at": moment.isoformat(),
                "elapsed_us": 1_000 + group,
                "timings": TIMINGS,
            }
            for group in range(start, min(start + BATCH_GROUPS, groups + 1))
            for task_id in Fleet.task_ids(group)
        ]
        answer = ingest(
            database,
            agent=AGENT,
            items=items,
            config=config,
            now=moment + timedelta(seconds=1),
        )
        assert not answer.refused, answer.refused[0]


def _sizes(database: Database) -> tuple[int, int]:
    """Of the results, and of the whole database."""
    with database.engine.connect() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            results = connection.exec_driver_sql(PAGES).scalar_one()
            return int(results or 0), int(pages) * 4096
        results = connection.exec_driver_sql(PARTITIONS).scalar_one()
        whole = connection.exec_driver_sql(
            "SELECT pg_database_size(current_database())"
        ).scalar_one()
        return int(results), int(whole)


if __name__ == "__main__":
    main()
