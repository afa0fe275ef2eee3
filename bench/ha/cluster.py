"""etcd, PostgreSQL under Patroni, HAProxy and PgBouncer, as the how-to sets them up."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import httpx2

from bench.ha.howto import Machines
from bench.ha.packages import POSTGRESQL, find, unprivileged
from tests.e2e.programs import Program, clean_environment, is_running
from tests.e2e.waiting import Stopwatch, wait_until
from tests.postgresql import _roomy_folder

VOTERS = (1, 2, 3)
DATABASES = (1, 2)
START_LIMIT_S = 60.0
REJOIN_LIMIT_S = 90.0


class Cluster:
    """All that lies behind the Argos servers; `close` ends what it has started."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="argos-ha-", dir=_roomy_folder()))
        # Of 127.0.0.0/8, so that another run of us has another one.
        network = f"127.{os.getpid() // 250 % 250 + 2}.{os.getpid() % 250 + 2}"
        self.machines = Machines(self.folder, network)
        self._programs: dict[str, Program] = {}

    def start(self, say: Callable[[str], None]) -> None:
        """Start all, and wait until there is a primary with a synchronous standby."""
        for number in VOTERS:
            (self.machines.folder(number) / "run").mkdir(parents=True)
        for number in DATABASES:
            for name in (
                "/etc/patroni/config.yml",
                "/etc/haproxy/haproxy.cfg",
                "/etc/pgbouncer/pgbouncer.ini",
                "/etc/pgbouncer/userlist.txt",
            ):
                self.machines.write(name, number)
        self._give_away()
        watch = Stopwatch()
        for number in VOTERS:
            self._start_etcd(number)
        for number in DATABASES:
            self.start_patroni(number)
        for number in DATABASES:
            self._start("haproxy", number, "haproxy", "-db", "-f", "haproxy.cfg")
            self._start("pgbouncer", number, "pgbouncer", "pgbouncer.ini")
        wait_until(self.find_primary, within_s=START_LIMIT_S, what="a primary")
        self.wait_for_standby()
        self._make_database()
        say(f"A primary and a synchronous standby after {watch.elapsed_s:.0f} s")

    def _give_away(self) -> None:
        """Let those own their files who run as nobody."""
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, "nobody", "nogroup")

    def _start(
        self, name: str, number: int, program: str, *arguments: str, **more: str
    ) -> None:
        folder = self.machines.folder(number)
        self._programs[f"{name}{number}"] = Program(
            [*unprivileged(), find(program), *arguments],
            log=self.folder / f"{name}{number}.log",
            cwd=folder,
            env=clean_environment(folder, **more),
        )

    def _start_etcd(self, number: int) -> None:
        config = self.machines.config("/etc/default/etcd", number)
        pairs = (line.partition("=") for line in config.splitlines() if line)
        self._start("etcd", number, "etcd", **{name: value for name, _, value in pairs})

    def start_patroni(self, number: int) -> None:
        """Start a node, or let it come back after a kill."""
        self._start("patroni", number, "patroni", "config.yml")

    def _make_database(self) -> None:
        script = self.machines.config("argos.sql", 1)
        look = partial(self._run_sql, script)
        wait_until(look, within_s=START_LIMIT_S, what="a database for Argos")

    def _run_sql(self, script: str) -> bool:
        address = self.machines.address(1)
        done = subprocess.run(
            [
                *(str(POSTGRESQL / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"),
                *("-h", address, "-p", "5000", "-U", "postgres", "-d", "postgres"),
            ],
            input=script,
            text=True,
            capture_output=True,
            env={
                "PGPASSWORD": self.machines.superuser_password(),
                "PGCONNECT_TIMEOUT": "5",
            },
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return True

    # What Patroni says

    def _says_yes(self, number: int, path: str) -> bool:
        """Whether a node's health check is answered 200."""
        url = f"http://{self.machines.address(number)}:8008{path}"
        with contextlib.suppress(httpx2.HTTPError):
            return httpx2.get(url, timeout=2, trust_env=False).status_code == 200
        return False

    def is_primary(self, number: int) -> bool:
        """Whether a node takes writes."""
        return self._says_yes(number, "/primary")

    def find_primary(self) -> int | None:
        """The node that takes writes."""
        return next((node for node in DATABASES if self.is_primary(node)), None)

    def wait_for_standby(self) -> float:
        """Wait until a node stands by synchronously; how many seconds that took."""
        watch = Stopwatch()
        wait_until(
            lambda: any(self._says_yes(node, "/synchronous") for node in DATABASES),
            within_s=REJOIN_LIMIT_S,
            what=f"a synchronous standby; logs in {self.folder}",
        )
        return watch.elapsed_s

    # What befalls it

    def kill(self, number: int) -> None:
        """`kill -9` of a node's Patroni and of its PostgreSQL."""
        postmaster = self._postmaster(number)
        assert postmaster is not None
        self._programs[f"patroni{number}"].send(signal.SIGKILL)
        os.kill(postmaster, signal.SIGKILL)

    def switch_over(self, primary: int) -> None:
        """Ask the primary to hand over to its standby; returns when it has."""
        answer = httpx2.post(
            f"http://{self.machines.address(primary)}:8008/switchover",
            json={"leader": f"db{primary}"},
            timeout=START_LIMIT_S,
            trust_env=False,
        )
        assert answer.status_code == 200, f"{answer.status_code}: {answer.text}"

    def _postmaster(self, number: int) -> int | None:
        """The process that holds a node's data; None when there is none."""
        data = self.machines.folder(number) / "data"
        try:
            pid = int((data / "postmaster.pid").read_text().splitlines()[0])
            is_ours = Path(f"/proc/{pid}/cwd").readlink() == data
        except (OSError, ValueError, IndexError):
            return None
        return pid if is_ours and is_running(pid) else None

    def close(self) -> None:
        """End all that was started here, by its number, and remove the folder."""
        for name in sorted(self._programs, reverse=True):
            self._programs[name].__exit__()
        for number in DATABASES:
            pid = self._postmaster(number)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGQUIT)
        self._remove_folder()

    def _remove_folder(self) -> None:
        """PostgreSQL's last processes may still be writing for a moment."""
        for _ in range(20):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                return
            time.sleep(0.2)

    def log_tails(self, names: Sequence[str] = ()) -> str:
        """The ends of the logs, for whoever has to find out."""
        paths = sorted(self.folder.glob("*.log"))
        chosen = [path for path in paths if not names or path.stem in names]
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}"
            for path in chosen
        )
