"""Three servers on one PostgreSQL, behind the nginx of the docs; one after another fails."""

import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.e2e.installation import PERIOD_S, Installation, make_config
from tests.e2e.programs import Program, clean_environment, free_port
from tests.e2e.waiting import Stopwatch, wait_until
from tests.nemesis.postgres import Postgres
from tests.postgresql import find_binaries
from tests.tree import ROOT
from tests.website import LocalWebsite

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(find_binaries() is None, reason="no PostgreSQL in a wheel here"),
]

PAGES = 30
BROKEN = 10
TAKEN_OVER_WITHIN_S = 30
RECOVERED_WITHIN_S = 10
STALLED_S = 17
"""As long as nginx waits for a server that is stopped, and a bit."""


class Website:
    """Pages that are broken while their numbers stand in `broken`."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self._website = LocalWebsite(self._get_status)
        self.url = self._website.url
        self.close = self._website.close

    def _get_status(self, path: str, _: str) -> int:
        return 503 if path.rpartition("/")[2] in self.broken else 200


@dataclass(slots=True)
class Site:
    """All of it at work."""

    argos: Installation
    website: Website
    postgres: Postgres
    ports: list[int]
    servers: list[Program]

    def run_server(self, place: int) -> Program:
        arguments = ("server", "start", "--config", "config.yaml")
        port = str(self.ports[place])
        # One log for all, so that it holds every notice.
        return self.argos.start(*arguments, "--port", port, log="server.log")

    def told(self) -> Counter[str]:
        """How many notices of each severity went out."""
        return Counter(alert.severity for alert in self.argos.alerts())

    def wait_until_told(self, severity: str, count: int) -> float:
        watch = Stopwatch()
        wait_until(
            lambda: self.told()[severity] >= count,
            within_s=TAKEN_OVER_WITHIN_S + 3 * PERIOD_S + 20,
            what=f"{count} notices of {severity}",
        )
        return watch.elapsed_s


def nginx_config(folder: Path, listen: int, ports: list[int]) -> str:
    """The one of the how-to, with our ports and a third server."""
    text = (ROOT / "docs/howto/several-servers.md").read_text(encoding="utf-8")
    found = re.search(r"```nginx\n(.*?)```", text, re.DOTALL)
    assert found is not None
    config = found[1].replace("listen 8000;", f"listen 127.0.0.1:{listen};")
    config = config.replace("127.0.0.1:8001", f"127.0.0.1:{ports[0]}")
    line = f"server 127.0.0.1:{ports[1]} max_fails=1 fail_timeout=10s;"
    third = line.replace(str(ports[1]), str(ports[2]))
    config = config.replace("127.0.0.1:8002", f"127.0.0.1:{ports[1]}")
    assert line in config
    config = config.replace(line, f"{line}\n  {third}")
    paths = "".join(
        f"{name}_temp_path {folder}/temp;\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off;\npid {folder}/nginx.pid;\nevents {{}}\n"
    return f"{head}http {{\naccess_log off;\n{paths}{config}\n}}\n"


@pytest.fixture
def site(tmp_path: Path, nginx_binary: str) -> Iterator[Site]:
    with ExitStack() as stack:
        postgres = Postgres()
        stack.callback(postgres.close)
        website = Website()
        stack.callback(website.close)
        paths = [
            {"path": f"/{page}", "checks": [{"status-is": 200}]}
            for page in range(PAGES)
        ]
        config = make_config(
            [{"domain": website.url, "paths": paths}],
            database_url=postgres.url,
            general={"confirm": False},
        )
        argos = Installation(tmp_path / "argos", config)
        argos.prepare()
        ports = [free_port() for _ in range(3)]
        site = Site(argos, website, postgres, ports, [])
        for place in range(len(ports)):
            site.servers.append(stack.enter_context(site.run_server(place)))
        for port in ports:
            wait_until(partial(is_up, port), within_s=60, what="a server")
        folder = tmp_path / "nginx"
        (folder / "temp").mkdir(parents=True)
        config_path = folder / "nginx.conf"
        config_path.write_text(nginx_config(folder, argos.port, ports))
        stack.enter_context(
            Program(
                [nginx_binary, "-c", config_path, "-e", folder / "error.log"],
                log=folder / "log",
                cwd=folder,
                env=clean_environment(folder),
            )
        )
        wait_until(lambda: ask(site).is_success, within_s=15, what="nginx")
        for name in ("anna", "bert"):
            stack.enter_context(argos.agent(name))
        wait_until(
            lambda: argos.severities()["ok"] == PAGES, within_s=60, what="a first look"
        )
        yield site


def test_servers_that_fail_lose_nothing_and_double_nothing(site: Site) -> None:
    kill_a_server(site)
    restart_the_database(site)
    stop_a_server(site)

    time.sleep(2 * PERIOD_S)
    assert site.told() == {"critical": BROKEN, "ok": BROKEN}
    kinds = Counter(site.argos.select("SELECT kind FROM events"))
    assert kinds == {"opened": BROKEN, "closed": BROKEN}


def kill_a_server(site: Site) -> None:
    """Another one tells, within half a minute."""
    site.servers[0].kill()
    site.website.broken = {str(page) for page in range(BROKEN)}

    took_s = site.wait_until_told("critical", BROKEN)

    assert took_s <= TAKEN_OVER_WITHIN_S + 2 * PERIOD_S


def restart_the_database(site: Site) -> None:
    """503 that say when to come again, and then it goes on by itself."""
    # What was sent but is not written down yet would be sent again, as it must.
    wait_until(
        lambda: (
            site.argos.select("SELECT count(*) FROM deliveries WHERE sent_at IS NULL")
            == [0]
        ),
        within_s=PERIOD_S,
        what="that all notices are noted as sent",
    )
    site.postgres.kill()
    answers = [ask(site) for _ in range(15)]
    site.postgres.start()

    wait_until(
        lambda: ask(site).status_code == 200,
        within_s=RECOVERED_WITHIN_S,
        what="an answer after the database's restart",
    )
    assert {answer.status_code for answer in answers[5:]} == {503}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers[5:])


def stop_a_server(site: Site) -> None:
    """Nobody waits for it longer than the load balancer does."""
    site.servers[1].send(signal.SIGSTOP)
    try:
        site.website.broken = set()
        times = []
        for _ in range(6):
            watch = Stopwatch()
            assert ask(site).status_code == 200
            times.append(watch.elapsed_s)
        assert max(times) <= STALLED_S
        assert sorted(times)[3] < 2.0
        site.wait_until_told("ok", BROKEN)
    finally:
        site.servers[1].send(signal.SIGCONT)


def is_up(port: int) -> bool:
    return httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=10).is_success


def ask(site: Site) -> httpx2.Response:
    return httpx2.get(
        f"{site.argos.url}/api/severities",
        headers={"Accept": "application/json"},
        timeout=60,
    )
