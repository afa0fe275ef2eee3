"""How long a reload takes, and how much memory: first, unchanged, 1 % changed.

Runs the real `argos server reload-config` in a process of its own, on both databases,
and the command of Argos 0.10.3 beside it where one is named. Run it from the
repository's root:

    python bench/data/reload.py --websites 1000 10000 [--ancestor .venv-0.10.3/bin/argos]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.data.running import make_database  # noqa: E402  # the path first

HEAD = """\
general:
  db: {{url: "{url}"}}
  env: test
  cookie_secret: a-cookie-secret-that-nobody-knows
  frequency: "5m"
  alerts: {{ok: [], warning: [], critical: [], unknown: [], no_agent: []}}
service: {{secrets: [a-shared-secret-of-all-agents]}}
ssl: {{thresholds: [{{"1d": critical}}, {{"5d": warning}}]}}
recurring_tasks:
  {{max_results_age: "7d", max_lock_seconds: 100, time_without_agent: 5}}
websites:
"""
WEBSITE = """\
- domain: "https://site{number:06}.example.org"
  frequency: "{minutes}m"
  paths:
  - path: /
    checks:
    - status-is: 200
    - body-contains: "{word}"
    - headers-contain: [etag]
    - status-in: [200, 302]
    - ssl-certificate-expiration: on-check
"""
TASKS_PER_WEBSITE = 10
"""Five checks, over IPv4 and IPv6."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command took."""

    wall_s: float
    cpu_s: float
    """Of the command alone, without the database's."""
    peak_mb: float

    def __str__(self) -> str:
        return f"{self.wall_s:.1f} s ({self.cpu_s:.1f}, {self.peak_mb:.0f})"


@dataclass(frozen=True, slots=True)
class Reload:
    """The command that applies a config."""

    config: Path
    command: Sequence[str] = (sys.executable, "-m", "argos")

    def run(self) -> Cost:
        """Run it, and measure it."""
        return self._run("reload-config")

    def migrate(self) -> Cost:
        """Make the tables first."""
        return self._run("migrate")

    def _run(self, name: str) -> Cost:
        return _run([*self.command, "server", name, "--config", str(self.config)])


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--websites", nargs="*", type=int, default=[1_000, 10_000])
    parser.add_argument("--ancestor", help="the `argos` command of 0.10.3")
    options = parser.parse_args()
    commands = {"argos": [sys.executable, "-m", "argos"]}
    if options.ancestor:
        commands["0.10.3"] = [options.ancestor]
    _say(f"{'command':8} {'database':10} {'websites':>8}  wall (cpu s, peak MB):")
    for websites in options.websites:
        for kind in options.databases:
            for name, command in commands.items():
                with make_database(kind) as url:
                    costs = _measure(command, url, websites)
                told = "   ".join(f"{step} {cost}" for step, cost in costs.items())
                _say(f"{name:8} {kind:10} {websites:8}  {told}")


def _measure(command: list[str], url: str, websites: int) -> dict[str, Cost]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        write_config(config, url, websites)
        reload = Reload(config, command)
        reload.migrate()
        costs = {"first": reload.run(), "unchanged": reload.run()}
        write_config(config, url, websites, changed_every=100)
        costs["1 % changed"] = reload.run()
        return costs


def write_config(
    path: Path, url: str, websites: int, *, changed_every: int = 0
) -> None:
    """A config of so many websites; of the changed ones a third each is new, is
    asked more often, and expects something else."""
    with path.open("w") as file:
        file.write(HEAD.format(url=url))
        for number in range(websites):
            turn = (
                number // changed_every % 3 if _divides(changed_every, number) else -1
            )
            file.write(
                WEBSITE.format(
                    number=number + websites if turn == 0 else number,
                    minutes=1 if turn == 1 else 5,
                    word="goodbye" if turn == 2 else "hello",
                )
            )
    path.chmod(0o600)


def _divides(every: int, number: int) -> bool:
    return every > 0 and number % every == 0


def _run(command: list[str]) -> Cost:
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, env=dict(os.environ)
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
    return Cost(
        time.perf_counter() - begin,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024,
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
