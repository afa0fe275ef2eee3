"""Fill a database, and measure reload, lease, ingest, pages and calls on it.

    python -m bench.scale --tasks 200000 --results 2000000 --bad 10

Without --database it starts a SQLite file and a PostgreSQL of its own, which go at the
end; with one it uses that, which must be empty, and leaves it filled.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from argos.clock import utcnow
from argos.server.database import Database
from argos.server.migrations.runner import migrate
from bench.data.reload import database_url
from bench.scale.agents import measure_agents
from bench.scale.fill import Fleet, fill, load_config
from bench.scale.measure import measure, page_paths, running_server


def main() -> None:
    """Fill, measure, print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument(
        "--database", help="the URL of an empty database to use instead"
    )
    parser.add_argument("--tasks", type=int, default=200_000)
    parser.add_argument("--results", type=int, default=2_000_000)
    parser.add_argument("--bad", type=int, default=10, help="per mille of the groups")
    parser.add_argument("--rounds", type=int, default=20, help="of each page")
    parser.add_argument("--seconds", type=float, default=5, help="of agents at work")
    options = parser.parse_args()
    fleet = Fleet(options.tasks, options.results, options.bad)
    for kind in [None] if options.database else options.databases:
        with _database(kind, options.database) as database:
            _say(f"== {database.url.get_backend_name()}: {fleet}")
            _prepare(database, fleet)
            with tempfile.TemporaryDirectory() as folder:
                _measure(database, Path(folder), options)


def _prepare(database: Database, fleet: Fleet) -> None:
    migrate(database)
    with database.reading() as session:
        if session.scalar(text("SELECT id FROM tasks LIMIT 1")):
            _say("It is filled already.")
            return
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        load_config(database, fleet, folder=Path(folder), now=utcnow())
        _say(f"reload, the first: {time.perf_counter() - begin:.1f} s")
    begin = time.perf_counter()
    fill(database, fleet, now=utcnow())
    _say(f"filled in {time.perf_counter() - begin:.1f} s")


def _measure(database: Database, folder: Path, options: argparse.Namespace) -> None:
    with running_server(database, folder) as address:
        _say("   p50 ms   p95 ms       kB  address")
        for timing in measure(address, page_paths(database), rounds=options.rounds):
            _say(
                f"{timing.p50_ms:9.1f}{timing.p95_ms:9.1f}{timing.kilobytes:9.0f}"
                f"  {timing.path}"
            )
        if options.seconds:
            for line in measure_agents(address, seconds=options.seconds):
                _say(line)


@contextmanager
def _database(kind: str | None, url: str | None) -> Iterator[Database]:
    if url is not None:
        database = Database(url)
        yield database
        database.close()
        return
    assert kind is not None
    with database_url(kind) as made:
        database = Database(made)
        yield database
        database.close()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
