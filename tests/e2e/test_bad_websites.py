"""Websites that do their worst fail by themselves: their neighbours are on time."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import (
    PERIOD_S,
    PROBE_TIMEOUT_S,
    Installation,
    make_config,
)
from tests.e2e.nginx import Host, Nginx
from tests.e2e.programs import free_port, resident_bytes
from tests.e2e.waiting import wait_until
from tests.e2e.zoo import Habit, Zoo

pytestmark = pytest.mark.timeout(120)

NEIGHBOURS = 30
ROUNDS = 4
"""Results of each website that are waited for."""
ON_TIME_S = PERIOD_S + 2
MAX_RESIDENT_BYTES = 300 * 1024**2
"""Of an agent and its workers together."""

REASONS = {
    Habit.DRIP: r"The answer did not end within 2 s\.",
    Habit.SILENT: r"No answer came within 2 s\.",
    Habit.RESET: r"The answer could not be used: .*reset.*",
    Habit.EMPTY: r"The answer could not be used: .*[Ee]mpty reply.*",
    Habit.GARBAGE: r"The answer could not be used: .+",
    Habit.BAD_HEADERS: r"The answer .*header.*",
    Habit.BOMB: r"Not in the first 2097152 bytes; .*longer.*",
    Habit.ENDLESS: r"Not in the first 2097152 bytes; .*longer.*",
}


@pytest.fixture
def zoo() -> Iterator[Zoo]:
    habits = {f"127.0.6.{number}": habit for number, habit in enumerate(REASONS, 1)}
    with Zoo(free_port(), habits) as zoo:
        yield zoo


@pytest.fixture
def nginx(nginx_binary: str, tmp_path: Path) -> Iterator[Nginx]:
    hosts = [
        Host(f"127.0.7.{number}", 'return 200 "Welcome";')
        for number in range(1, NEIGHBOURS + 1)
    ]
    with Nginx(nginx_binary, tmp_path / "nginx", hosts, port=free_port()) as nginx:
        yield nginx


@pytest.fixture
def argos(zoo: Zoo, nginx: Nginx, tmp_path: Path) -> Installation:
    """Argos, with good websites and bad ones in a row."""
    urls = [zoo.url(site) for site in zoo.sites.values()]
    urls += [nginx.url(host) for host in nginx.hosts]
    websites = [
        {
            "domain": url,
            "timeout": f"{PROBE_TIMEOUT_S}s",
            "paths": [{"path": "/", "checks": [{"body-contains": "Welcome"}]}],
        }
        for url in urls
    ]
    config = make_config(websites, database_url="sqlite:///argos.db")
    return Installation(tmp_path / "argos", config)


def moments(argos: Installation) -> dict[str, list[float]]:
    """When each website was measured, in seconds."""
    rows = argos.select(
        "SELECT url, submitted_at FROM results JOIN tasks ON tasks.id = task_id"
        " ORDER BY url, submitted_at"
    )
    return {
        url: [microseconds / 1_000_000 for _, microseconds in group]
        for url, group in itertools.groupby(rows, key=lambda row: row[0])
    }


def reasons(argos: Installation, address: str) -> set[str]:
    """What is told of a website's failures, in all its results."""
    rows = argos.select(
        "SELECT status, context FROM results JOIN tasks ON tasks.id = task_id"
        " WHERE url LIKE :url",
        url=f"http://{address}:%",
    )
    assert {status for status, _ in rows} == {"failure"}
    contexts = [json.loads(context) for _, context in rows]
    return {context.get("reason") or context["error_message"] for context in contexts}


def test_bad_websites_fail_with_a_reason_and_their_neighbours_are_on_time(
    argos, zoo, nginx
):
    argos.prepare()

    # So few slots that bad websites could take all of them.
    with argos.start_server() as server, argos.agent("one", "--slots", "12") as agent:
        wait_until(
            lambda: (
                len(moments(argos)) == NEIGHBOURS + len(REASONS)
                and min(map(len, moments(argos).values())) >= ROUNDS
            ),
            within_s=90,
            what=f"{ROUNDS} results of each website",
        )
        measured = moments(argos)
        resident = resident_bytes(agent.pid)

    for site in zoo.sites.values():
        [reason] = reasons(argos, site.address)
        assert re.fullmatch(REASONS[site.habit], reason), f"{site.habit}: {reason}"
    gaps = {
        url: max(later - sooner for sooner, later in itertools.pairwise(times))
        for url, times in measured.items()
        if url.startswith("http://127.0.7.")
    }
    assert len(gaps) == NEIGHBOURS
    late = {url: gap for url, gap in gaps.items() if gap > ON_TIME_S}
    assert late == {}
    assert resident < MAX_RESIDENT_BYTES
    assert "Traceback" not in server.output + agent.output
