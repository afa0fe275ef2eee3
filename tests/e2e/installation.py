"""Argos as people install it: a folder, a config, a server, and agents, as processes."""

import contextlib
import copy
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml
from sqlalchemy import Connection, create_engine, make_url, text

from argos.server.database import database_url as with_driver
from tests.e2e.programs import (
    ARGOS,
    Program,
    clean_environment,
    free_port,
    run,
)
from tests.e2e.waiting import wait_until

TOKEN = "an-agent-token-for-tests"
PERIOD_S = 3
"""The shortest that is still longer than what one look at the pages may take."""
PROBE_TIMEOUT_S = 2
LOCK_S = 61
"""How long an agent of 0.10.3 may hold tasks; the shortest that 0.10.3 takes."""


def make_config(
    websites: Sequence[Mapping[str, Any]],
    *,
    database_url: str,
    general: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A config that 0.10.3 understands, too."""
    everybody = {
        name: ["local"] for name in ("ok", "warning", "critical", "unknown", "no_agent")
    }
    return {
        "general": {
            "db": {"url": database_url},
            "env": "test",
            "cookie_secret": "0123456789abcdef0123456789abcdef",
            "frequency": f"{PERIOD_S}s",
            "ipv6": False,
            "unauthenticated_access": "all",
            "alerts": everybody,
            **(general or {}),
        },
        "service": {"secrets": [TOKEN]},
        "ssl": {"thresholds": [{"1d": "critical"}, {"5d": "warning"}]},
        "recurring_tasks": {
            "max_results_age": "7d",
            "max_lock_seconds": LOCK_S,
            "time_without_agent": 5,
        },
        "websites": list(websites),
    }


def for_everybody(database_url: str) -> str:
    """The URL in a form that 0.10.3 takes: without an empty host name."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return database_url
    return f"postgresql:///{url.database}?host={url.query['host']}&user={url.username}"


@dataclass(frozen=True, slots=True)
class Alert:
    """A notice as the server's log shows it."""

    task_id: int
    severity: str


class Installation:
    """A folder with a config, and the programs that work in it.

    `command` is how Argos is called: ours, or 0.10.3.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        *,
        command: Sequence[str | Path] = ARGOS,
        ca_file: Path | None = None,
        zone: str = "UTC",
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config_path = folder / "config.yaml"
        self.database_url: str = config["general"]["db"]["url"]
        self.command = tuple(command)
        self._more = {"TZ": zone, "PYTHONUNBUFFERED": "1"}
        if ca_file is not None:
            self._more["SSL_CERT_FILE"] = str(ca_file)
        folder.mkdir(exist_ok=True)
        self.write_config(config)

    def with_command(self, command: Sequence[str | Path]) -> "Installation":
        """The same folder, config and database, worked in by another Argos."""
        other = copy.copy(self)
        other.command = tuple(command)
        return other

    def write_config(self, config: Mapping[str, Any]) -> None:
        self.config_path.write_text(
            yaml.safe_dump(dict(config), allow_unicode=True, sort_keys=False)
        )
        self.config_path.chmod(0o600)

    def run(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever it comes to."""
        return run(
            [*self.command, *arguments],
            cwd=self.folder,
            env=self._environment(),
            typed=typed,
        )

    def must(self, *arguments: str, typed: str = "") -> str:
        """Run a command that has to succeed; return its standard output."""
        done = self.run(*arguments, typed=typed)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def prepare(self) -> None:
        """Make the database and its tasks."""
        self.must("server", "migrate", "--config", "config.yaml")
        self.must("server", "reload-config", "--config", "config.yaml")

    def start_server(self) -> Program:
        """A server that answers."""
        arguments = ("server", "start", "--config", "config.yaml")
        server = self.start(*arguments, "--port", str(self.port), log="server.log")
        try:
            self.wait_until_up(server)
        except BaseException:
            server.__exit__()
            raise
        return server

    def wait_until_up(self, server: Program) -> None:
        """Wait until a server that was just started answers."""

        def look() -> bool:
            return server.has_ended or self.get("/api/severities").is_success

        wait_until(look, within_s=30, what=f"the server at {self.url}")
        assert not server.has_ended, server.output[-3000:]

    def agent(self, name: str, *options: str, server_url: str | None = None) -> Program:
        """An agent under way, for this installation's server or another one."""
        return self.start(
            *("agent", server_url or self.url, TOKEN, "--name", name),
            *("--wait-time", "1", *options),
            log=f"{name}.log",
        )

    def start(self, *arguments: str, log: str) -> Program:
        return Program(
            [*self.command, *arguments],
            log=self.folder / log,
            cwd=self.folder,
            env=self._environment(),
        )

    def _environment(self) -> dict[str, str]:
        return clean_environment(self.folder, **self._more)

    # Looking at it from outside

    def get(self, path: str) -> httpx2.Response:
        return self._get(path, accept="application/json")

    def page(self, path: str) -> str:
        """A page as a browser gets it."""
        answer = self._get(path, accept="text/html")
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return answer.text

    def _get(self, path: str, *, accept: str) -> httpx2.Response:
        # Over plain HTTP there is nobody to verify: else each of many looks would read
        # all authorities, which takes longer than the rest of it.
        return httpx2.get(
            self.url + path, headers={"Accept": accept}, timeout=10, verify=False
        )

    def severities(self) -> dict[str, int]:
        counts: dict[str, int] = self.get("/api/severities").json()
        return counts

    def domains(self) -> dict[str, set[str]]:
        """The severities of each website's tasks."""
        found = self.get("/api/app/domains").json()["domains"]
        return {host: set(severities) for host, severities in found.items()}

    def alerts(self) -> list[Alert]:
        """The notices that the server has written to its log, over all its runs."""
        with contextlib.suppress(FileNotFoundError):
            said = (self.folder / "server.log").read_text(errors="replace")
            found = re.findall(
                r"Alerting stub: task=(\d+), status=\S+, severity=(\w+)", said
            )
            return [Alert(int(task), severity) for task, severity in found]
        return []

    def select(self, query: str, **parameters: Any) -> list[Any]:
        """What the database holds; one value per row where the query asks for one."""
        with self._connected() as connection:
            rows = connection.execute(text(query), parameters).all()
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    def execute(self, statement: str) -> None:
        """Change the database behind Argos' back."""
        with self._connected() as connection:
            connection.execute(text(statement))
            connection.commit()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        url = with_driver(self.database_url)
        if url.database and url.get_backend_name() == "sqlite":
            url = url.set(database=str(self.folder / url.database))
        engine = create_engine(url)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()
