"""Two Argos servers, the agents, and the website that they watch."""

import re
from contextlib import ExitStack
from functools import partial

import httpx2

from bench.ha.cluster import Cluster
from bench.ha.front import Front
from tests.e2e.installation import Installation, make_config
from tests.e2e.programs import Program
from tests.e2e.waiting import wait_until
from tests.nemesis.website import Website

AGENTS = 4
SERVERS = (1, 2)
START_LIMIT_S = 60.0
QUIET_LIMIT_S = 120.0
_TRACEBACK = re.compile(r"Traceback .*?\n(?=\w|\n|\Z)[^\n]*", re.DOTALL)


class Fleet:
    """All that lies before the database; each server has a PgBouncer of its own."""

    def __init__(self, cluster: Cluster, website: Website, *, pages: int) -> None:
        self.pages = pages
        self._website = website
        self._stack = ExitStack()
        paths = [
            {"path": f"/site/{page}", "checks": [{"status-is": 200}]}
            for page in range(pages)
        ]
        self._machines = {
            number: Installation(
                cluster.folder / f"argos{number}",
                make_config(
                    [{"domain": website.url, "paths": paths}],
                    database_url=cluster.machines.database_url(number),
                    general={"frequency": "1s", "timeout": "5s", "confirm": False},
                ),
            )
            for number in SERVERS
        }
        self.front = Front([machine.port for machine in self._machines.values()])
        self._stack.callback(self.front.close)
        self._agents: list[Program] = []

    def start(self) -> None:
        """Start all, and wait until each page has been looked at."""
        first = self._machines[1]
        first.prepare()
        for machine in self._machines.values():
            self._stack.enter_context(machine.start_server())
        for number in range(AGENTS):
            agent = first.agent(f"agent{number}", server_url=self.front.url)
            self._agents.append(self._stack.enter_context(agent))
        wait_until(
            lambda: self._website.changes >= self.pages,
            within_s=START_LIMIT_S,
            what="a first probe of each page",
        )

    def quieten(self) -> None:
        """Let nothing more break, wait until all is well, and end the agents."""
        self._website.heal()
        all_well = {"ok": self.pages}
        wait_until(
            lambda: (
                {k: n for k, n in self._machines[1].severities().items() if n}
                == all_well
            ),
            within_s=QUIET_LIMIT_S,
            what="all pages well",
        )
        for machine in self._machines.values():
            is_ready = partial(_is_ready, machine.url)
            wait_until(is_ready, within_s=START_LIMIT_S, what="a ready server")
        for agent in self._agents:
            agent.stop()

    def tracebacks(self) -> list[str]:
        """What servers and agents said of mistakes of their own."""
        logs = [
            path
            for each in self._machines.values()
            for path in each.folder.glob("*.log")
        ]
        return [
            f"{path.parent.name}/{path.name}: {text[-1000:]}"
            for path in logs
            for text in _TRACEBACK.findall(path.read_text(errors="replace"))
        ]

    def close(self) -> None:
        """End agents, servers and what stands between them."""
        self._stack.close()


def _is_ready(url: str) -> bool:
    return httpx2.get(f"{url}/readyz", timeout=10, trust_env=False).is_success
