"""One server, two agents, a hundred websites that break and heal."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.fleet import CRITICAL, OK, Fleet, Website
from tests.e2e.installation import (
    PERIOD_S,
    PROBE_TIMEOUT_S,
    Installation,
    make_config,
)
from tests.e2e.programs import Program, family_of, free_port, is_running
from tests.e2e.waiting import Stopwatch, wait_until
from tests.e2e.zoo import Habit, Site, Zoo

pytestmark = pytest.mark.timeout(240)

NOTICED_WITHIN_S = PERIOD_S + 2
"""From a website's change to the pages': one period, and 2 seconds."""
LEASE_S = PROBE_TIMEOUT_S + 15
"""How long a dead agent holds what it was at."""
PATIENCE_S = 20
"""How long to look for what should be there long since, before calling it missing."""
TOLD_WITHIN_S = 75
"""What other tests broke may be a storm, in which notices wait for each other."""

AGENTS = ("north", "south")


@dataclass(slots=True)
class Watch:
    """Argos at work on the fleet."""

    argos: Installation
    fleet: Fleet
    zoo: Zoo
    held: Site
    """A website beside the fleet that can make its visitors wait."""
    server: Program
    agents: dict[str, Program]
    stack: ExitStack

    def start_server(self) -> None:
        self.server = self.stack.enter_context(self.argos.start_server())

    def start_agent(self, name: str) -> None:
        agent = self.argos.agent(name, "--probe-ca-file", str(self.fleet.trust.file))
        self.agents[name] = self.stack.enter_context(agent)
        agent.wait_for_line("Running agent against")

    def key(self, site: Site) -> str:
        return f"{site.address}:{self.zoo.port}"

    def task_id(self, key: str) -> int:
        """The one task of a website."""
        [task_id] = self.argos.select(
            "SELECT id FROM tasks WHERE url LIKE :url", url=f"%//{key}/%"
        )
        return int(task_id)

    def alerts(self, key: str) -> list[str]:
        """What was told of a website's one task, from the beginning."""
        task_id = self.task_id(key)
        return [
            alert.severity for alert in self.argos.alerts() if alert.task_id == task_id
        ]

    def is_told(self, key: str, severities: list[str]) -> bool:
        return self.alerts(key) == severities

    def is_shown(self, key: str, severity: str) -> bool:
        return self.argos.domains().get(key) == {severity}


@pytest.fixture(scope="module")
def watch(
    fleet: Fleet, module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watch]:
    """Server and agents, with each website checked at least once."""
    with Zoo(free_port(), {"127.0.3.1": Habit.FINE}) as zoo, ExitStack() as stack:
        [held] = zoo.sites.values()
        extra = {
            "domain": zoo.url(held),
            "timeout": f"{PROBE_TIMEOUT_S}s",
            "paths": [{"path": "/", "checks": [{"body-contains": "Welcome"}]}],
        }
        config = make_config([*fleet.config(), extra], database_url=module_database_url)
        argos = Installation(tmp_path_factory.mktemp("argos") / "argos", config)
        argos.prepare()
        server = stack.enter_context(argos.start_server())
        watch = Watch(argos, fleet, zoo, held, server, {}, stack)
        for name in AGENTS:
            watch.start_agent(name)
        wanted = fleet.expected | {watch.key(held): {OK}}
        wait_until(
            lambda: (
                argos.domains().keys() == wanted.keys()
                and argos.severities()["unknown"] == 0
            ),
            within_s=30,
            what="a result of each task",
        )
        yield watch


@contextmanager
def broken(watch: Watch, website: Website, how: str) -> Iterator[None]:
    """A website of the fleet that is broken for a while."""
    watch.fleet.nginx.break_(website.host, how)
    try:
        yield
    finally:
        watch.fleet.nginx.heal(website.host)


def incidents(watch: Watch, key: str) -> list[tuple[str, bool]]:
    """The worst severity of each of the website's incidents, and whether it is over."""
    rows = watch.argos.select(
        "SELECT severity, closed_at IS NOT NULL FROM incidents"
        " WHERE task_id = :task_id ORDER BY id",
        task_id=watch.task_id(key),
    )
    return [(severity, bool(is_closed)) for severity, is_closed in rows]


def newest_result(watch: Watch, task_id: int) -> tuple[str, object]:
    """Which agent measured last, and when."""
    [found] = watch.argos.select(
        "SELECT agent_id, submitted_at FROM results WHERE task_id = :task_id"
        " ORDER BY submitted_at DESC LIMIT 1",
        task_id=task_id,
    )
    agent, submitted_at = found
    return agent, submitted_at


def spooled(watch: Watch) -> list[Path]:
    """Files that hold results for a server that is away."""
    return [
        path
        for path in watch.argos.folder.glob(".local/state/argos/agent/*/*.spool")
        if path.stat().st_size
    ]


def twice_stored(watch: Watch) -> list[object]:
    """Results of which there are two."""
    return watch.argos.select(
        "SELECT task_id, submitted_at FROM results"
        " GROUP BY task_id, submitted_at HAVING count(*) > 1"
    )


def test_each_website_has_the_severities_that_it_deserves(watch):
    wanted = watch.fleet.expected | {watch.key(watch.held): {OK}}

    wait_until(
        lambda: watch.argos.domains() == wanted,
        within_s=PATIENCE_S,
        what=f"these severities: {wanted}",
    )


@pytest.mark.parametrize(
    ("number", "how"),
    [
        pytest.param(10, "500", id="it answers 500"),
        pytest.param(11, "444", id="it hangs up"),
    ],
)
def test_a_break_is_seen_and_told_once_and_so_is_the_recovery(watch, number, how):
    website = watch.fleet.spare(number)
    key = watch.fleet.key(website)
    wait_until(lambda: watch.is_shown(key, OK), within_s=PATIENCE_S, what="ok at first")

    with broken(watch, website, how):
        since = Stopwatch()
        wait_until(
            lambda: watch.is_shown(key, CRITICAL), within_s=PATIENCE_S, what="critical"
        )
        shown_s = since.elapsed_s
        wait_until(
            lambda: watch.is_told(key, [CRITICAL]),
            within_s=TOLD_WITHIN_S,
            what="one notice of the problem",
        )
        [opened] = incidents(watch, key)
        dashboard, listed = watch.argos.page("/"), watch.argos.page("/incidents")
        page = watch.argos.page(f"/domain/{key}")
    since = Stopwatch()
    wait_until(lambda: watch.is_shown(key, OK), within_s=PATIENCE_S, what="ok again")
    healed_s = since.elapsed_s
    wait_until(
        lambda: watch.is_told(key, [CRITICAL, OK]),
        within_s=TOLD_WITHIN_S,
        what="one notice of the recovery",
    )
    [closed] = incidents(watch, key)

    assert opened == (CRITICAL, False)
    assert closed == (CRITICAL, True)
    assert key in dashboard
    assert key in listed
    assert "critical" in page.lower()
    assert max(shown_s, healed_s) <= NOTICED_WITHIN_S, (
        f"shown after {shown_s:.1f} s, shown ok again after {healed_s:.1f} s"
    )


def test_the_work_of_a_killed_agent_is_taken_over(watch):
    key = watch.key(watch.held)
    watch.agents["south"].stop()
    watch.held.hold()
    visits = watch.held.visits
    wait_until(
        lambda: watch.held.visits > visits,
        within_s=PATIENCE_S,
        what="a visit of the only agent",
    )

    family = family_of(watch.agents["north"].pid)
    watch.agents["north"].kill()
    since = Stopwatch()
    watch.held.release()
    task_id = watch.task_id(key)
    before = newest_result(watch, task_id)
    watch.start_agent("south")
    wait_until(
        lambda: newest_result(watch, task_id) != before,
        within_s=LEASE_S + PATIENCE_S,
        what="a result from the other agent",
    )
    taken_over_s = since.elapsed_s
    agent, _ = newest_result(watch, task_id)
    watch.start_agent("north")

    assert agent == "south"
    assert len(family) > 1
    assert not any(is_running(pid) for pid in family)
    assert taken_over_s <= LEASE_S + NOTICED_WITHIN_S
    assert watch.is_told(key, [])


def test_agents_that_are_stopped_with_their_workers_report_nothing_false(watch):
    key = watch.key(watch.held)
    task_id = watch.task_id(key)
    watch.held.hold()
    visits = watch.held.visits
    wait_until(lambda: watch.held.visits > visits, within_s=PATIENCE_S, what="a visit")
    before = newest_result(watch, task_id)

    codes = {agent.stop_group() for agent in watch.agents.values()}
    watch.held.release()
    for name in AGENTS:
        watch.start_agent(name)
    wait_until(
        lambda: newest_result(watch, task_id) != before,
        within_s=PATIENCE_S,
        what="the next result",
    )

    assert codes == {0}
    statuses = watch.argos.select(
        "SELECT DISTINCT status FROM results WHERE task_id = :task_id", task_id=task_id
    )
    assert statuses == ["success"]
    assert watch.alerts(key) == []


@pytest.mark.parametrize(
    "end", [pytest.param("stop", id="stopped"), pytest.param("kill", id="killed")]
)
def test_results_wait_for_a_server_that_is_away_and_nothing_is_told_twice(watch, end):
    website = watch.fleet.spare(20 if end == "stop" else 21)
    key = watch.fleet.key(website)
    task_id = watch.task_id(watch.key(watch.held))
    with broken(watch, website, "500"):
        wait_until(
            lambda: watch.is_told(key, [CRITICAL]),
            within_s=TOLD_WITHIN_S,
            what="one notice of the problem",
        )
        watch.held.hold()
        visits = watch.held.visits
        wait_until(
            lambda: watch.held.visits > visits, within_s=PATIENCE_S, what="a visit"
        )
        before = newest_result(watch, task_id)

        getattr(watch.server, end)()
        watch.held.release()
        wait_until(
            lambda: any(spooled(watch)), within_s=PATIENCE_S, what="spooled results"
        )
        watch.start_server()
        wait_until(
            lambda: newest_result(watch, task_id) != before,
            within_s=PATIENCE_S,
            what="the result that had to wait",
        )
        watch.argos.get("/api/severities").raise_for_status()
    wait_until(
        lambda: len(watch.alerts(key)) > 1, within_s=PATIENCE_S, what="the recovery"
    )
    wait_until(
        lambda: not any(spooled(watch)), within_s=PATIENCE_S, what="an empty spool"
    )

    assert watch.alerts(key) == [CRITICAL, OK]
    assert watch.alerts(watch.key(watch.held)) == []
    assert twice_stored(watch) == []
