"""A server, and agents at three locations that do not see the same."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import Installation, make_config
from tests.e2e.waiting import wait_until
from tests.website import LocalWebsite

pytestmark = pytest.mark.timeout(120)

LOCATIONS = ("oslo", "paris", "tokyo")


class Website:
    """A website that is broken for the agents of some locations."""

    def __init__(self) -> None:
        self.broken_for: set[str] = set()
        self._website = LocalWebsite(self._get_status)
        self.url = self._website.url
        self.close = self._website.close

    def _get_status(self, path: str, seen_as: str) -> int:
        return 500 if any(name in seen_as for name in self.broken_for) else 200


@pytest.fixture
def website() -> Iterator[Website]:
    website = Website()
    yield website
    website.close()


def test_a_quorum_of_locations_tells_a_problem_once(tmp_path: Path, website: Website):
    sites = [
        {
            "domain": website.url,
            "locations": list(LOCATIONS),
            "quorum": 2,
            "paths": [{"path": "/", "checks": [{"status-is": 200}]}],
        }
    ]
    config = make_config(sites, database_url=f"sqlite:///{tmp_path}/argos.db")
    argos = Installation(tmp_path / "argos", config)
    argos.prepare()
    seen: list[dict[str, str]] = []

    def sees(**severities: str) -> bool:
        rows = argos.select("SELECT location || ' ' || severity FROM tasks")
        seen[:] = [dict(str(row).split(" ") for row in rows)]
        return seen[0] == severities

    def told() -> list[str]:
        return [alert.severity for alert in argos.alerts()]

    with argos.start_server(), contextlib.ExitStack() as stack:
        for name in LOCATIONS:
            options = ("--location", name, "--user-agent", name)
            stack.enter_context(argos.agent(f"agent-{name}", *options))

        def wait(**severities: str) -> None:
            wait_until(lambda: sees(**severities), within_s=30, what=f"{severities}")

        wait(oslo="ok", paris="ok", tokyo="ok")
        website.broken_for = {"oslo"}
        wait(oslo="critical", paris="ok", tokyo="ok")
        results = "SELECT count(*) FROM results WHERE severity = 'critical'"
        wait_until(
            lambda: argos.select(results)[0] >= 3, within_s=30, what="more looks"
        )
        assert told() == []

        website.broken_for = {"oslo", "tokyo"}
        wait(oslo="critical", paris="ok", tokyo="critical")
        wait_until(lambda: told() == ["critical"], within_s=30, what="the problem")

        website.broken_for = set()
        wait(oslo="ok", paris="ok", tokyo="ok")
        wait_until(lambda: told() == ["critical", "ok"], within_s=30, what="the end")
        page = argos.page(f"/domain/{website.url.removeprefix('http://')}")
        assert all(name in page for name in LOCATIONS)
