"""CPU time of processes of this machine: what else runs here does not count in it."""

from collections.abc import Collection
from pathlib import Path

from sqlalchemy import text

from argos.server.database import Database

_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"


def backend_pids(database: Database) -> Collection[int]:
    """The processes of PostgreSQL that serve somebody, as far as they run here."""
    if database.is_sqlite:
        return ()
    with database.reading() as session:
        found = session.scalars(text(_BACKENDS)).all()
    return [pid for pid in found if Path(f"/proc/{pid}").exists()]


def cpu_ms(pids: Collection[int]) -> float:
    """What these processes, all of their threads, have used so far; Linux only."""
    return sum(_thread_ns(path) for pid in pids for path in _threads(pid)) / 1e6


def _threads(pid: int) -> Collection[Path]:
    return list(Path(f"/proc/{pid}/task").glob("*/schedstat"))


def _thread_ns(path: Path) -> int:
    try:
        return int(path.read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return 0  # a thread that has ended
