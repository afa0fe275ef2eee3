"""How light Argos is when it does little: `python -m bench.agent.light`.

How long commands take, what they load, how soon the server answers, what idle processes
hold in memory, and how soon `argos up` knows how a fleet is.
"""

import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.agent.measuring import find_nginx, memory_mib
from tests.e2e.installation import Installation, make_config
from tests.e2e.nginx import Host, Nginx
from tests.e2e.programs import clean_environment, family_of, free_port, run
from tests.e2e.waiting import Stopwatch, wait_until

ADDRESS = "127.0.9.2"
FLEET = 200
REPEATS = 10
STARTS = 3
SETTLED_S = 5.0
"""After so long without work a process counts as idle."""

_COUNT_MODULES = """
import sys
from argos.commands import cli
cli(sys.argv[1:], standalone_mode=False)
print(len(sys.modules), file=sys.stderr)
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """Something measured."""

    what: str
    value: float
    unit: str


def main() -> None:
    """Run, and print the table."""
    for figure in measure():
        print(f"{figure.what:54}{figure.value:10,.2f} {figure.unit}")


def measure() -> Iterator[Figure]:
    """All figures, one after the other."""
    with tempfile.TemporaryDirectory(prefix="argos-bench-") as name:
        folder = Path(name)
        argos = _prepare(folder / "idle", [])
        for command in (("version",), ("agent", "--help"), ("server", "--help")):
            yield _command_time(argos, *command)
            yield _module_count(folder, *command)
        yield _first_answer(argos)
        yield from _idle_memory(argos)
        with _website(folder) as url:
            yield from _up_times(folder, url)


def _prepare(folder: Path, websites: list[dict[str, object]]) -> Installation:
    config = make_config(
        websites, database_url="sqlite:///argos.db", general={"frequency": "1m"}
    )
    argos = Installation(folder, config)
    argos.prepare()
    return argos


def _command_time(argos: Installation, *command: str) -> Figure:
    times = []
    for _ in range(REPEATS):
        since = Stopwatch()
        argos.must(*command)
        times.append(since.elapsed_s)
    what = f"argos {' '.join(command)}, median of {REPEATS}"
    return Figure(what, statistics.median(times) * 1000, "ms")


def _module_count(folder: Path, *command: str) -> Figure:
    arguments = [sys.executable, "-c", _COUNT_MODULES, *command]
    done = run(arguments, cwd=folder, env=clean_environment(folder))
    assert done.returncode == 0, done.stderr
    what = f"argos {' '.join(command)}, modules loaded"
    return Figure(what, int(done.stderr), "modules")


def _first_answer(argos: Installation) -> Figure:
    times = []
    for _ in range(STARTS):
        since = Stopwatch()
        with argos.start_server() as server:
            times.append(since.elapsed_s)
            server.stop()
    what = f"server start to its first answer, median of {STARTS}"
    return Figure(what, statistics.median(times), "s")


def _idle_memory(argos: Installation) -> Iterator[Figure]:
    with argos.start_server() as server, argos.agent("idle") as agent:
        agent.wait_for_line("Running agent against")
        since = Stopwatch()
        wait_until(lambda: since.elapsed_s > SETTLED_S, within_s=30, what="rest")
        for name, pid in (("server", server.pid), ("agent with its worker", agent.pid)):
            for kind in ("Rss", "Pss"):
                value = memory_mib(family_of(pid), kind)
                yield Figure(f"idle {name}, {kind.upper()}", value, "MiB")


@contextmanager
def _website(folder: Path) -> Iterator[str]:
    host = Host(ADDRESS, 'return 200 "Welcome";')
    with Nginx(find_nginx(), folder / "nginx", [host], port=free_port()) as nginx:
        yield nginx.url(host)


def _up_times(folder: Path, url: str) -> Iterator[Figure]:
    websites = [
        {
            "domain": f"{url}/site/{number}/",
            "paths": [{"path": "", "checks": [{"status-is": 200}]}],
        }
        for number in range(FLEET)
    ]
    config = make_config(
        websites, database_url="sqlite:///argos.db", general={"frequency": "1m"}
    )
    argos = Installation(folder / "up", config)
    since = Stopwatch()
    arguments = ("up", "--config", "config.yaml", "--port", str(argos.port))
    with argos.start(*arguments, log="up.log"):
        for wanted in (1, FLEET):
            _wait_for_severities(argos, wanted)
            what = f"argos up, {FLEET} websites, to severity number {wanted}"
            yield Figure(what, since.elapsed_s, "s")


def _wait_for_severities(argos: Installation, wanted: int) -> None:
    wait_until(
        lambda: argos.severities()["ok"] >= wanted,
        within_s=60,
        what=f"{wanted} severities",
    )


if __name__ == "__main__":
    main()
