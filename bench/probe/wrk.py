"""wrk with one thread and a new connection for each request: the limit."""

import re
import resource
import shutil
import subprocess


def run_wrk(
    url: str, *, seconds: float, under_way: int, core: int | None
) -> tuple[float, float]:
    """Requests a second, on one core if given, and the CPU of each in microseconds."""
    binary = shutil.which("wrk")
    if binary is None:
        raise SystemExit("wrk is not installed (Debian: apt install wrk)")
    before = _children_cpu_s()
    done = subprocess.run(
        [
            *(() if core is None else ("taskset", "-c", str(core))),
            *(binary, "-t1", f"-c{under_way}", f"-d{max(1, round(seconds))}"),
            *("-H", "Connection: close", url),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    cpu_s = _children_cpu_s() - before
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    count = re.search(r"(\d+) requests in", done.stdout)
    is_good = rate and count and int(count[1]) > 0 and "Non-2xx" not in done.stdout
    if not is_good or rate is None or count is None:
        raise SystemExit(f"wrk failed: {done.stdout}")
    return float(rate[1]), cpu_s / int(count[1]) * 1e6


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
