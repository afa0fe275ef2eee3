"""Servers, agents, a database and sinks as processes, and what befalls them."""

import contextlib
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from sqlalchemy import make_url

from tests.e2e.installation import TOKEN, Installation, make_config
from tests.e2e.programs import ARGOS, Program, clean_environment, free_port
from tests.nemesis.postgres import Postgres
from tests.nemesis.website import Website
from tests.tree import ROOT

ADDRESSES = ("ada@example.org", "bob@example.org")
RECIPIENTS = ("hook", "crew", "phones")
PERIOD = "1s"


def make_channels(ports: Mapping[str, int]) -> dict[str, object]:
    """Channels that lead to the sinks."""
    http = f"http://127.0.0.1:{ports['http']}"
    return {
        "hook": {"type": "webhook", "url": f"{http}/hook", "secret": "s"},
        "phones": {"type": "gotify", "url": http, "tokens": ["t"]},
        "crew": {
            "type": "mail",
            "mailfrom": "argos@example.org",
            "port": ports["smtp"],
            "addresses": list(ADDRESSES),
        },
    }


def start_sinks(folder: Path, journal: Path, ports: Mapping[str, int]) -> Program:
    """The sinks, by the mode in the folder's file `mode`."""
    program = Program(
        [
            *(sys.executable, "-m", "tests.nemesis.sinks", journal, folder / "mode"),
            *(str(ports["http"]), str(ports["smtp"])),
        ],
        log=folder / "sinks.log",
        cwd=ROOT,
        env=clean_environment(folder),
    )
    program.wait_for_line("^ready$")
    return program


class World:
    """Two servers on one database, an agent for each, and the sinks."""

    def __init__(
        self, folder: Path, *, seed: int, pages: int, postgres: Postgres | None
    ) -> None:
        self.rng = Random(seed)
        self.website = Website(Random(seed + 1))
        self.folder = folder
        self.pages = pages
        self.postgres = postgres
        self.journal = folder / "journal.jsonl"
        self.crashes: Counter[str] = Counter()
        self._mode = folder / "mode"
        self._mode.write_text("fine")
        self._ports = {name: free_port() for name in ("http", "smtp", "b")}
        url = postgres.url if postgres else f"sqlite:///{folder}/argos.db"
        self.installation = Installation(folder, self._config(url, pages))
        self.installation.prepare()
        self._programs: dict[str, Program] = {}
        self._starters: dict[str, Callable[[], Program]] = {
            "sinks": self._start_sinks,
            "server-a": lambda: self._start_server("a", self.installation.port),
            "server-b": lambda: self._start_server("b", self._ports["b"]),
            "agent-a": lambda: self._start_agent("a", self.installation.port),
            "agent-b": lambda: self._start_agent("b", self._ports["b"]),
        }
        for name in self._starters:
            self.start(name)

    def _config(self, database_url: str, pages: int) -> dict[str, object]:
        alerts: dict[str, list[str]] = {
            name: list(RECIPIENTS) for name in ("ok", "warning", "critical", "unknown")
        }
        return make_config(
            [
                {
                    "domain": self.website.url,
                    "paths": [
                        {"path": f"/site/{page}", "checks": [{"status-is": 200}]}
                        for page in range(pages)
                    ],
                }
            ],
            database_url=database_url,
            general={
                "frequency": PERIOD,
                "timeout": "5s",
                "confirm": False,
                "channels": make_channels(self._ports),
                "alerts": {**alerts, "no_agent": []},
            },
        )

    def _start_sinks(self) -> Program:
        return start_sinks(self.folder, self.journal, self._ports)

    def _start_server(self, name: str, port: int) -> Program:
        return self.installation.start(
            *("server", "start", "--config", "config.yaml", "--port", str(port)),
            log=f"server-{name}.log",
        )

    def _start_agent(self, name: str, port: int) -> Program:
        return Program(
            [
                *(*ARGOS, "agent", f"http://127.0.0.1:{port}", TOKEN),
                *("--name", name, "--wait-time", "1"),
            ],
            log=self.folder / f"agent-{name}.log",
            cwd=self.folder,
            env=clean_environment(self.folder),
        )

    def start(self, name: str) -> None:
        self._programs[name] = self._starters[name]()

    def _signal(self, name: str, sign: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._programs[name].pid, sign)

    # What befalls it

    def harm(self) -> str:
        """Let one thing happen, and be over; returns what it was."""
        deeds = [self.kill, self.stop, self.set_mode, self.hold_database]
        return self.rng.choices(deeds, weights=[5, 2, 4, 2])[0]()

    def _choose(self) -> str:
        """A program; an agent seldom, for its leases have to run out."""
        names = list(self._programs)
        return self.rng.choices(
            names, weights=[1 if name.startswith("agent") else 5 for name in names]
        )[0]

    def kill(self) -> str:
        name = self._choose()
        self.crashes[name.partition("-")[0]] += 1
        self._signal(name, signal.SIGKILL)
        self._programs[name].__exit__()
        time.sleep(self.rng.uniform(0, 0.5))
        self.start(name)
        return f"kill {name}"

    def stop(self) -> str:
        name = self._choose()
        self.crashes["stop"] += 1
        self._signal(name, signal.SIGSTOP)
        time.sleep(self.rng.uniform(0.5, 2))
        self._signal(name, signal.SIGCONT)
        return f"stop {name}"

    def set_mode(self) -> str:
        mode = self.rng.choice(["errors", "busy", "slow", "cut"])
        self._mode.write_text(mode)
        time.sleep(self.rng.uniform(0.5, 2))
        self._mode.write_text("fine")
        return f"sinks {mode}"

    def hold_database(self) -> str:
        """Kill PostgreSQL; keep SQLite's only lock for a while."""
        if self.postgres is not None:
            self.crashes["database"] += 1
            self.postgres.kill()
            time.sleep(self.rng.uniform(0, 0.5))
            self.postgres.start()
            return "kill database"
        path = make_url(self.installation.database_url).database
        assert path is not None
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(self.rng.uniform(0.5, 2))
            connection.rollback()
        return "lock database"

    def heal(self) -> None:
        """Let nothing more happen, and whatever has ended run again."""
        self._mode.write_text("fine")
        self.website.heal()
        for name, program in self._programs.items():
            self._signal(name, signal.SIGCONT)
            if program.has_ended:
                program.__exit__()
                self.start(name)

    def close(self) -> None:
        for name, program in self._programs.items():
            self._signal(name, signal.SIGKILL)
            program.__exit__()
        self.website.close()
