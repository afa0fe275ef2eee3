"""Fill a database, and measure reload, lease, ingest, pages and calls on it.

    python -m bench.scale --tasks 200000 --results 2000000 --bad 10

Without --database it starts a SQLite file and a PostgreSQL of its own, which go at the
end; with one it uses that, which must be empty, and leaves it filled.
"""

import argparse
import os
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
from argos.server.settings import read_config
from bench.data.reload import Reload, write_config
from bench.data.running import make_database, run_server
from bench.scale.agents import measure_agents
from bench.scale.fill import Fleet, fill
from bench.scale.measure import add_user, measure
from bench.scale.paths import page_paths


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
    parser.add_argument(
        "--long", type=int, default=100, help="websites with a week of results"
    )
    parser.add_argument("--rounds", type=int, default=20, help="of each page")
    parser.add_argument("--seconds", type=float, default=5, help="of agents at work")
    options = parser.parse_args()
    fleet = Fleet(options.tasks, options.results, options.bad, options.long)
    for kind in [None] if options.database else options.databases:
        with (
            _database(kind, options.database) as database,
            tempfile.TemporaryDirectory() as folder,
        ):
            _say(f"== {database.url.get_backend_name()}: {fleet}; {_load()}")
            config = Path(folder) / "fleet.yaml"
            url = database.url.render_as_string(hide_password=False)
            write_config(config, url, fleet.websites)
            _prepare(database, fleet, config)
            _measure(database, config, options)
            write_config(config, url, fleet.websites, changed_every=100)
            _say(f"reload, 1 % changed: {Reload(config).run()}")


def _prepare(database: Database, fleet: Fleet, config: Path) -> None:
    """Fill the database, unless that has been done."""
    migrate(database)
    with database.reading() as session:
        if session.scalar(text("SELECT id FROM tasks LIMIT 1")):
            _say("It is filled already.")
            return
    reload = Reload(config)
    _say(f"reload, the first: {reload.run()}")
    begin = time.perf_counter()
    fill(database, fleet, now=utcnow())
    _say(f"filled in {time.perf_counter() - begin:.1f} s")
    _say(f"reload, unchanged: {reload.run()}")


def _measure(database: Database, config: Path, options: argparse.Namespace) -> None:
    add_user(database)
    paths = page_paths(database, read_config(config, environ={}).config)
    with run_server(config) as server:
        _say("      ms      p95  CPU ms      p95       kB  address")
        for each in measure(server, database, paths, rounds=options.rounds):
            figures = (each.p50_ms, each.p95_ms, each.cpu_p50_ms, each.cpu_p95_ms)
            told = "".join(f"{figure:8.1f} " for figure in figures)
            _say(f"{told}{each.kilobytes:8.0f}  {each.path}")
        _say(_load())
        if options.seconds:
            for line in measure_agents(server.address, seconds=options.seconds):
                _say(line)


def _load() -> str:
    """How busy the machine was of late: whatever else runs makes figures worse."""
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


@contextmanager
def _database(kind: str | None, url: str | None) -> Iterator[Database]:
    if url is not None:
        database = Database(url)
        yield database
        database.close()
        return
    assert kind is not None
    with make_database(kind) as made:
        database = Database(made)
        yield database
        database.close()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
