"""What processes cost, read from /proc (Linux), and where nginx is."""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.conftest import SYSTEM_FOLDERS

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes together, since they began."""
    ticks = 0
    for pid in pids:
        # The name, in parentheses, may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_S


def memory_mib(pids: Iterable[int], kind: str) -> float:
    """Memory of these processes: `Rss`, or `Pss`, which counts shared pages once."""
    total_kib = 0
    for pid in pids:
        said = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found = re.search(rf"^{kind}:\s+(\d+) kB", said, re.MULTILINE)
        assert found is not None
        total_kib += int(found[1])
    return total_kib / 1024


def find_nginx() -> str:
    """The path of nginx."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:{SYSTEM_FOLDERS}")
    if found is None:
        raise SystemExit("nginx is not installed (Debian: apt install nginx-light)")
    return found
