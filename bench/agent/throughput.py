"""What one agent does at most, beside 0.10.3 and blackbox_exporter.

`python -m bench.agent.throughput`: whole agents as processes, which lease from a server
that costs nearly nothing (`stand_in`), probe a page of 602 bytes by a new connection for
each, evaluate five checks for each page, and report. In the same run Argos 0.10.3 does
the same work, and blackbox_exporter answers wrk as fast as it can, each page being one
check. All share the machine's cores with nginx and the stand-in.
"""

import argparse
import os
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.agent.measuring import cpu_seconds, memory_mib
from bench.agent.stand_in import CHECKS, COUNTS, get_json
from bench.probe.website import Website, running_website
from bench.probe.wrk import run_wrk
from tests.e2e.ancestor import VERSION, find_ancestor
from tests.e2e.programs import (
    ARGOS,
    Program,
    clean_environment,
    family_of,
    free_port,
)
from tests.e2e.waiting import Stopwatch, wait_until
from tests.tree import ROOT

BLACKBOX = "prometheus-blackbox-exporter"
WARM_UP = 2_000
_MODULES = """
modules:
  page:
    prober: http
    timeout: 10s
    http:
      preferred_ip_protocol: ip4
      follow_redirects: false
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured."""

    subject: str
    scheme: str
    pages_per_second: float
    main_us: float
    """CPU of the main process for each page."""
    workers_us: float
    """CPU of its children for each page."""
    memory_mib: float

    @property
    def cpu_us(self) -> float:
        return self.main_us + self.workers_us


def main() -> None:
    """Read the options, run, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.agent.throughput", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="per figure")
    parser.add_argument("--slots", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--per-second", type=float, help="task groups due a second")
    parser.add_argument("--alone", action="store_true", help="nobody beside our agent")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    print(
        f"{'':22}{'':7}{'pages/s':>9}{'main us':>9}{'workers':>9}{'CPU us':>9}"
        f"{'MiB':>7}{'times ours':>12}"
    )
    with running_website(cores[-1] if len(cores) > 1 else None) as website:
        for scheme in ("http", "https"):
            first: Figures | None = None
            for row in _measure(scheme, website, options):
                first = first or row
                _print(row, first)


def _measure(
    scheme: str, website: Website, options: argparse.Namespace
) -> Iterator[Figures]:
    with tempfile.TemporaryDirectory(prefix="argos-bench-") as name:
        bench = _Bench(Path(name), scheme, website, options)
        yield bench.ours()
        if options.alone:
            return
        yield bench.ancestor()
        yield bench.blackbox()


class _Bench:
    def __init__(
        self, folder: Path, scheme: str, website: Website, options: argparse.Namespace
    ) -> None:
        self._folder = folder
        self._scheme = scheme
        self._website = website
        self._options = options
        page = website.http if scheme == "http" else website.https
        self._page = page
        # nginx gives the same page for all that begins so.
        self._url = page.rpartition("/")[0] + "/page"

    def ours(self) -> Figures:
        options = (
            *("--slots", str(self._options.slots)),
            *("--workers", str(self._options.workers)),
            *("--cpu-budget", "100"),
            *("--probe-ca-file", self._website.ca_file, "--log-level", "warning"),
            *("--spool-dir", str(self._folder / "spool")),
        )
        with self._stand_in(self._options.per_second) as server:
            return self._agent("agent", server, [*ARGOS], options)

    def ancestor(self) -> Figures:
        folder = ROOT / f".pytest_cache/d/argos-{VERSION}"
        options = ("--max-tasks", "100", "--wait-time", "1")
        with self._stand_in(None) as server:
            return self._agent(
                f"agent of {VERSION}", server, [str(find_ancestor(folder))], options
            )

    def blackbox(self) -> Figures:
        """wrk asks for probes, 50 at once; each is one page."""
        if shutil.which(BLACKBOX) is None:
            raise SystemExit(f"{BLACKBOX} is not installed")
        # The roots come as the system's (SSL_CERT_FILE), which it reads once: those of
        # a `ca_file` it would read for each probe.
        (self._folder / "blackbox.yml").write_text(_MODULES)
        port = free_port()
        arguments = (
            f"--config.file={self._folder / 'blackbox.yml'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        )
        url = f"http://127.0.0.1:{port}/probe?module=page&target={self._page}"
        with self._program([BLACKBOX, *arguments], "blackbox") as blackbox:
            wait_until(
                lambda: "probe_success 1" in _get(url), within_s=15, what=BLACKBOX
            )
            run_wrk(url, seconds=1, under_way=50, core=None)
            before, since = cpu_seconds([blackbox.pid]), Stopwatch()
            rate, _ = run_wrk(
                url, seconds=self._options.seconds, under_way=50, core=None
            )
            pages = rate * since.elapsed_s
            cpu_s = cpu_seconds([blackbox.pid]) - before
            assert "probe_success 1" in _get(url)
            memory = memory_mib([blackbox.pid], "Rss")
        return Figures(
            "blackbox_exporter", self._scheme, rate, cpu_s / pages * 1e6, 0.0, memory
        )

    def _agent(
        self, subject: str, server: str, command: list[str], options: tuple[str, ...]
    ) -> Figures:
        def done() -> int:
            counts = get_json(server + COUNTS)
            assert counts["bad"] == 0, f"{counts['bad']} results of {subject} are bad"
            return int(counts["results"]) // len(CHECKS)

        arguments = [*command, "agent", server, "a-token", *options]
        with self._program(arguments, subject) as agent:
            few = WARM_UP if subject == "agent" else 0
            wait_until(lambda: done() > few, within_s=60, what="the first pages")
            main, *workers = family_of(agent.pid)
            before, since = _next(done), Stopwatch()
            main_s, workers_s = cpu_seconds([main]), cpu_seconds(workers)
            wait_until(
                lambda: since.elapsed_s >= self._options.seconds,
                within_s=self._options.seconds + 5,
                what="the end",
            )
            pages, elapsed_s = _next(done) - before, since.elapsed_s
            return Figures(
                subject,
                self._scheme,
                pages / elapsed_s,
                (cpu_seconds([main]) - main_s) / pages * 1e6,
                (cpu_seconds(workers) - workers_s) / pages * 1e6,
                memory_mib([main, *workers], "Rss"),
            )

    @contextmanager
    def _stand_in(self, per_second: float | None) -> Iterator[str]:
        port = free_port()
        rate = () if per_second is None else ("--per-second", str(per_second))
        command = [sys.executable, "-m", "bench.agent.stand_in", port, self._url, *rate]
        with self._program(list(map(str, command)), "stand-in") as program:
            url = f"http://127.0.0.1:{port}"
            wait_until(
                lambda: "results" in _get(url + COUNTS),
                within_s=15,
                what=f"the stand-in: {program.output}",
            )
            yield url

    def _program(self, command: list[str], log: str) -> Program:
        environment = clean_environment(
            self._folder, SSL_CERT_FILE=self._website.ca_file
        )
        if command[0] == sys.executable:
            # Ours; for 0.10.3 it would be the wrong Argos.
            environment["PYTHONPATH"] = str(ROOT)
        return Program(
            command, log=self._folder / f"{log}.log", cwd=self._folder, env=environment
        )


def _next(count: Callable[[], int]) -> int:
    """The count once it changes: agents report in batches, of very different size."""
    first = count()
    return wait_until(
        lambda: now if (now := count()) != first else 0, within_s=60, what="a report"
    )


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def _print(row: Figures, first: Figures) -> None:
    print(
        f"{row.subject:22}{row.scheme:7}{row.pages_per_second:9,.0f}"
        f"{row.main_us:9,.0f}{row.workers_us:9,.0f}{row.cpu_us:9,.0f}"
        f"{row.memory_mib:7.0f}{row.cpu_us / first.cpu_us:12.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
