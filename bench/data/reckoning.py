"""Processor time, quantiles, and whether the rollups are right."""

import os
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import text

from argos.core import rollup
from argos.core.rollup import Kind
from argos.core.severity import Severity
from argos.server.database import Database


def cpu_seconds(pid: int) -> float:
    """The processor time of a process and its children, dead or alive (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_seconds(int(child)) for child in children)


def quantile_ms(seconds: Sequence[float]) -> str:
    """The median and the 99th percentile."""
    if len(seconds) < 2:
        return "-"
    cuts = statistics.quantiles(seconds, n=100)
    return f"{cuts[49] * 1000:.1f} / {cuts[98] * 1000:.1f}"


def recount(url: str) -> str:
    """Whether the rollups say what the results say, in words."""
    database = Database(url)
    with database.reading() as session:
        stored: Counter[str] = Counter(
            dict(
                session.execute(
                    text("SELECT severity, count(*) FROM results GROUP BY 1")
                ).all()
            )
        )
        # What has no row is like the row before, and only what is ok has none.
        without_row = sum(
            int(session.scalar(text(f"SELECT sum(left_out) FROM {table}")) or 0)
            for table in ("results", "tasks")
        )
        stored[str(Severity.OK)] += without_row
        counted: Counter[str] = Counter()
        for kind in Kind:
            name = kind.name.lower()
            total = session.scalar(
                text(f"SELECT sum({name}) FROM task_days")
            )  # a name of ours
            counted[name] += int(total or 0)
        open_hours = session.execute(
            text("SELECT open_counts, count(*) FROM tasks GROUP BY 1")
        )
        for tally, tasks in open_hours:
            for number, count in rollup.unpack(tally or b"").items():
                counted[Kind(number).name.lower()] += count * tasks
    database.close()
    wanted = {str(severity): stored[severity] for severity in Severity}
    found = {str(severity): counted[severity] for severity in Severity}
    if wanted != found:
        return f"{wanted} {found}"
    left_out = f", {without_row:,} of them without a row" if without_row else ""
    return f"equal, {sum(stored.values()):,}{left_out}"


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
