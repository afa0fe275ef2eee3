"""A PostgreSQL server that can be killed and started again."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.postgresql import _give_to_nobody, find_binaries, roomy_folder


class Postgres:
    """Its folder, and the server in it; durable, as a real one."""

    def __init__(self) -> None:
        binaries = find_binaries()
        assert binaries is not None
        self.folder = Path(tempfile.mkdtemp(prefix="argos-pg-", dir=roomy_folder()))
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            binaries, self._as_user = _give_to_nobody(self.folder, binaries)
        self._binaries = binaries
        self._run(
            *("initdb", "--pgdata=data", "--username=argos", "--auth=trust"),
            *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        )
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://argos@/postgres?host={self.folder}"

    def _run(self, program: str, *arguments: str) -> bool:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            **self._as_user,
        )
        return done.returncode == 0

    def start(self) -> None:
        """Start it; after a kill the last of its processes may take a moment to go."""
        options = f"-h '' -k '{self.folder}' -c max_connections=200"
        for _ in range(50):
            if self._run(
                *("pg_ctl", "start", "--pgdata=data", "--wait", "--silent"),
                *("--log=log", f"--options={options}"),
            ):
                return
            time.sleep(0.2)
        raise AssertionError((self.folder / "log").read_text()[-3000:])

    def kill(self) -> None:
        """End it without a word."""
        line = (self.folder / "data/postmaster.pid").read_text().splitlines()[0]
        os.kill(int(line), signal.SIGKILL)

    def close(self) -> None:
        self._run("pg_ctl", "stop", "--pgdata=data", "--silent", "--mode=immediate")
        for path in sorted(self.folder.rglob("*"), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()
