"""Programs as processes of their own: started, watched by their log, and ended."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.e2e.waiting import wait_until

STOP_LIMIT_S = 20.0

ARGOS = (sys.executable, "-m", "argos")


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """What a program needs of ours, and no more; coverage follows it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "TMPDIR"} or name.startswith("COVERAGE")
    }
    return kept | {"HOME": str(home), "LANG": "C.UTF-8"} | more


class Program:
    """A program under way; its output goes to a file, which several runs may share."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path,
        env: Mapping[str, str],
    ) -> None:
        self.log = log
        self._from = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, to end its children too
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def output(self) -> str:
        """What this run has said so far."""
        with self.log.open("rb") as output:
            output.seek(self._from)
            return output.read().decode(errors="replace")

    def wait_for_line(self, pattern: str, *, within_s: float = 20.0) -> re.Match[str]:
        """Wait until it says something that the pattern matches."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.output, re.MULTILINE)
            if found is None and self.has_ended:
                raise AssertionError(f"it has ended, saying: {self.output[-3000:]}")
            return found

        found = wait_until(look, within_s=within_s, what=f"a line like {pattern}")
        assert found is not None
        return found

    def wait_for_exit(self, *, within_s: float = STOP_LIMIT_S) -> int:
        """Wait until it has ended by itself; return its exit code."""
        return self._process.wait(within_s)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program, not to its children."""
        self._process.send_signal(number)

    def stop_group(self) -> int:
        """As a service manager stops it: the signal reaches its children, too."""
        os.killpg(self._process.pid, signal.SIGTERM)
        return self._process.wait(STOP_LIMIT_S)

    def kill(self) -> None:
        """`kill -9`: nothing can be tidied up."""
        self._process.kill()
        self._process.wait(STOP_LIMIT_S)

    def stop(self) -> int:
        """Ask it to end, and wait until it has; return its exit code."""
        if not self.has_ended:
            self._process.terminate()
        try:
            return self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._kill_group()
            raise

    def _kill_group(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait(STOP_LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and whatever it has started and left behind."""
        if not self.has_ended:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_LIMIT_S)
        self._kill_group()


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    typed: str = "",
    within_s: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever its exit code."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=dict(env),
        input=typed,
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )


def family_of(pid: int) -> list[int]:
    """A process with its descendants (Linux)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in family_of(int(child)))]


def is_running(pid: int) -> bool:
    """Whether there is such a process, other than a dead one (Linux)."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def resident_bytes(pid: int) -> int:
    """Memory of a process with its descendants, shared pages counted once (Linux)."""
    total = 0
    for member in family_of(pid):
        said = Path(f"/proc/{member}/smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+) kB", said, re.MULTILINE)
        assert found is not None
        total += int(found[1]) * 1024
    return total


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on at this moment."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def has_ipv6_loopback() -> bool:
    """Whether this machine has the address ::1."""
    try:
        free_port("::1")
    except OSError:
        return False
    return True
