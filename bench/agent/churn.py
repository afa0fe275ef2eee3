"""Whether an agent grows: `python -m bench.agent.churn --minutes 30`.

Thousands of probes are under way at any time, half of them over HTTPS, at websites that
take twenty seconds for their answers; they come and go, while the memory and the
descriptors of the agent and its workers are looked at.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import certifi
import psutil
import trustme

from bench.agent.stand_in import COUNTS, get_json
from tests.e2e.programs import ARGOS, Program, clean_environment, family_of, free_port
from tests.e2e.waiting import wait_until
from tests.tree import ROOT

SITE_DELAY_S = 20.0
LOOK_S = 5.0
WARM_UP_S = 3 * SITE_DELAY_S


@dataclass(frozen=True, slots=True)
class Look:
    """An agent with its workers at a moment."""

    main_mib: float
    """Of the main process."""
    workers_mib: float
    descriptors: int
    under_way: int

    @property
    def memory_mib(self) -> float:
        return self.main_mib + self.workers_mib


def main() -> None:
    """Read the options, run, and print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m bench.agent.churn")
    parser.add_argument("--minutes", type=float, default=2.0, help="after a warm-up")
    parser.add_argument("--under-way", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="argos-bench-") as name,
        ExitStack() as stack,
    ):
        folder = Path(name)
        ports, ca_file = stack.enter_context(_slow_site(folder))
        urls = (f"http://127.0.0.1:{ports[0]}", f"https://127.0.0.1:{ports[1]}")
        rate = options.under_way / SITE_DELAY_S
        server = stack.enter_context(_stand_in(folder, urls, rate))
        command = [
            *(*ARGOS, "agent", server, "a-token", "--log-level", "warning"),
            *("--slots", str(options.under_way), "--workers", str(options.workers)),
            *("--probe-ca-file", ca_file, "--spool-dir", str(folder / "spool")),
        ]
        agent = stack.enter_context(_program(folder, command, "agent"))
        _watch(agent, server, ports, options)


def _watch(
    agent: Program, server: str, ports: tuple[int, int], options: argparse.Namespace
) -> None:
    wait_until(
        lambda: get_json(server + COUNTS)["results"] > 0,
        within_s=60,
        what="the first results",
    )
    time.sleep(WARM_UP_S)
    looks: list[Look] = []
    print(
        f"{'s':>6}{'main MiB':>10}{'workers':>9}{'descriptors':>13}{'under way':>11}"
        f"{'pages':>9}"
    )
    began_at = time.perf_counter()
    while (elapsed_s := time.perf_counter() - began_at) < options.minutes * 60:
        looks.append(_look(agent.pid, ports))
        counts = get_json(server + COUNTS)
        if len(looks) % 6 == 1:
            look = looks[-1]
            print(
                f"{elapsed_s:6.0f}{look.main_mib:10.1f}{look.workers_mib:9.1f}"
                f"{look.descriptors:13}"
                f"{look.under_way:11}{counts['results'] // 5:9}",
                flush=True,
            )
        time.sleep(LOOK_S)
    _print(looks)
    # A machine that cannot keep up lets probes time out; that, too, is churn.
    print(f"{counts['bad']} of {counts['results']} results are no success")


def _look(pid: int, ports: tuple[int, int]) -> Look:
    family = [psutil.Process(each) for each in family_of(pid)]
    sockets = [
        connection
        for process in family
        for connection in process.net_connections("tcp")
        if connection.raddr and connection.raddr.port in ports
    ]
    return Look(
        family[0].memory_info().rss / 2**20,
        sum(process.memory_info().rss for process in family[1:]) / 2**20,
        sum(process.num_fds() for process in family) - len(sockets),
        len(sockets),
    )


def _print(looks: list[Look]) -> None:
    third = max(1, len(looks) // 3)
    first, last = looks[:third], looks[-third:]
    print(f"most memory {max(look.memory_mib for look in looks):.0f} MiB")
    for name, of in (
        ("memory, MiB", lambda look: look.memory_mib),
        ("descriptors beside the websites'", lambda look: look.descriptors),
        ("under way", lambda look: look.under_way),
    ):
        before, after = (statistics.median(map(of, part)) for part in (first, last))
        print(f"{name}: {before:.0f} in the first third, {after:.0f} in the last")


@contextmanager
def _slow_site(folder: Path) -> Iterator[tuple[tuple[int, int], str]]:
    """Its ports, and whom to trust."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    leaf = authority.issue_cert("127.0.0.1")
    leaf.private_key_and_cert_chain_pem.write_to_path(folder / "site.pem")
    roots = Path(certifi.where()).read_bytes() + b"\n" + authority.cert_pem.bytes()
    (folder / "ca.pem").write_bytes(roots)
    ports = free_port(), free_port()
    command = [
        *(sys.executable, "-m", "bench.agent.slow_site", str(ports[0]), str(ports[1])),
        *(str(folder / "site.pem"), str(SITE_DELAY_S)),
    ]
    with _program(folder, command, "site"):
        yield ports, str(folder / "ca.pem")


@contextmanager
def _stand_in(folder: Path, urls: tuple[str, ...], rate: float) -> Iterator[str]:
    port = free_port()
    command = [
        *(sys.executable, "-m", "bench.agent.stand_in", str(port), *urls),
        *("--per-second", str(rate)),
    ]
    with _program(folder, command, "stand-in"):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: get_json(url + COUNTS), within_s=15, what="the stand-in")
        yield url


def _program(folder: Path, command: list[str], log: str) -> Program:
    environment = clean_environment(folder, PYTHONPATH=str(ROOT))
    return Program(command, log=folder / f"{log}.log", cwd=folder, env=environment)


if __name__ == "__main__":
    main()
