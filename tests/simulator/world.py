"""One simulated world: websites, servers on one database, a network, and agents."""

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path

from argos.server.plan import wanted_tasks
from argos.server.settings import LoadedConfig, read_config
from tests.simulator.agents import Agent
from tests.simulator.bugs import Bug
from tests.simulator.diary import Diary
from tests.simulator.disk import Disk, DiskFaults, Store
from tests.simulator.history import History, Tasks
from tests.simulator.scenario import HOUR_S, Scenario, Weather
from tests.simulator.server import Common, Server
from tests.simulator.sites import ScriptedEngine, Site, make_sites, seen_from
from tests.simulator.sqlite_store import SQLiteStore
from tests.simulator.virtual_time import START, VirtualTimeLoop

CONFIG = """
general:
  db: {{url: "sqlite:///unused.db"}}
  cookie_secret: simulated
  frequency: "{period_s}s"
  recheck_delay: {recheck}
  retry_before_notification: {retries}
  ipv6: false
  timeout: "30s"
  apprise: {{team: ["json://127.0.0.1/"]}}
  alerts:
    ok: [local, "apprise:team"]
    warning: [local, "apprise:team"]
    critical: [local, "apprise:team"]
    unknown: [local, "apprise:team"]
    no_agent: [local]
service: {{secrets: [simulated]}}
ssl: {{thresholds: []}}
results: {{keep: {keep}}}
recurring_tasks:
  max_results_age: "30d"
  max_lock_seconds: 100
  time_without_agent: 180
websites:
{websites}
"""
WEBSITE = """
  - domain: "http://site{n}.example"{places}
    paths:
{paths}
"""
PLACES = """
    locations: [{places}]
    quorum: {quorum}"""
PATH = """
      - path: "/{path}"
        checks: [{checks}]
"""
CHECKS = ("status-is: 200", "status-in: [200, 404]")
MEMORY = Path("/dev/shm")


def simulate(
    scenario: Scenario,
    *,
    bug: Bug | None = None,
    new_store: Callable[[Path], Store] = SQLiteStore,
) -> History:
    """Run a scenario in virtual time, maybe with a bug in it; return what happened."""
    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    with (
        _zone(scenario.zone),
        tempfile.TemporaryDirectory(dir=where) as name,
        _store(new_store(Path(name)), bug) as store,
    ):
        loop = VirtualTimeLoop()
        asyncio.set_event_loop(loop)
        try:
            return loop.run_until_complete(
                _World(scenario, Path(name), loop, store).run()
            )
        finally:
            _end_all(loop)
            asyncio.set_event_loop(None)
            loop.close()


@contextmanager
def _store(store: Store, bug: Bug | None) -> Iterator[Store]:
    try:
        if bug is not None and bug.trigger is not None:
            store.add_trigger(bug.trigger)
        yield store
    finally:
        store.delete()


@contextmanager
def _zone(name: str) -> Iterator[None]:
    """The local zone of server and agents: nothing may depend on it."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


def _end_all(loop: VirtualTimeLoop) -> None:
    """As asyncio.run does: nothing of one world outlives it."""
    rest = asyncio.all_tasks(loop)
    for task in rest:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))


@cache
def _load(text: str) -> tuple[LoadedConfig, Tasks]:
    """A config by way of its file, and the tasks that it wants."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "config.yaml"
        path.write_text(text)
        loaded = read_config(path, environ={})
    tasks = wanted_tasks(loaded.config).tasks
    return loaded, frozenset(
        (task.url, task.check, task.expected, task.attributes.frequency)
        for task in tasks.values()
    )


class _World:
    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        loop: VirtualTimeLoop,
        store: Store,
    ) -> None:
        self._scenario = scenario
        self._folder = folder
        self._loop = loop
        self._rng = random.Random(scenario.seed)
        self._store = store
        self._sites = self._make_sites()
        self._history = History(
            truths={
                (url, place): site.truth
                for place, sites in self._sites.items()
                for url, site in sites.items()
            },
            recipients=("local", "apprise:team"),
            period_s=scenario.period_s,
        )
        self._common = Common(
            scenario=scenario,
            loop=loop,
            weather=scenario.weather,
            history=self._history,
            diary=Diary(store.look()),
            loaded=self._config(scenario.sites)[0],
        )
        self._faults = _disk_faults(Weather())
        self._servers = [self._server(n) for n in range(scenario.servers)]
        self._agents = [self._agent(n) for n in range(scenario.agents)]

    def _make_sites(self) -> dict[str | None, dict[str, Site]]:
        """By the place that they are seen from; None: there are no places."""
        scenario = self._scenario
        urls = [
            f"http://site{n}.example/{path}"
            for n in range(scenario.sites)
            for path in ("", "old")
        ]
        duration_s, period_s = scenario.duration_s, scenario.period_s
        if not scenario.locations:
            sites = make_sites(
                urls, rng=self._rng, duration_s=duration_s, period_s=period_s
            )
            return {None: sites}
        sites = make_sites(
            urls,
            rng=self._rng,
            duration_s=duration_s,
            period_s=period_s,
            outages=(2, 5, 9),
        )
        return {
            place: seen_from(
                sites, rng=self._rng, duration_s=duration_s, period_s=period_s
            )
            for place in _places(scenario)
        }

    def _server(self, number: int) -> Server:
        disk = Disk(
            self._store,
            self._faults,
            random.Random(self._scenario.seed * 41 + number),
            self._loop.time,
        )
        return Server(f"server-{number}", self._common, disk)

    def _agent(self, number: int) -> Agent:
        name = f"agent-{number}"
        sites = self._sites[self._common.place_of(name)]
        return Agent(
            name,
            self._servers,
            ScriptedEngine(sites, random.Random(number)),
            common=self._common,
            folder=self._folder,
        )

    def _config(
        self, sites: int, *, has_old_path: bool = False
    ) -> tuple[LoadedConfig, Tasks]:
        scenario = self._scenario
        checks = [
            CHECKS[n % 2] if n < 2 else f"status-in: [200, {n + 200}]"
            for n in range(scenario.checks)
        ]
        paths = [PATH.format(path="", checks=_listed(checks))]
        places = PLACES.format(
            places=", ".join(_places(scenario)), quorum=scenario.quorum
        )
        if has_old_path:
            paths.append(PATH.format(path="old", checks=_listed(checks[:1])))
        return _load(
            CONFIG.format(
                period_s=scenario.period_s,
                recheck="null"
                if scenario.recheck_s is None
                else f'"{scenario.recheck_s}s"',
                retries=scenario.retries,
                keep=scenario.keep,
                websites="".join(
                    WEBSITE.format(
                        n=n,
                        paths="".join(paths),
                        places=places if scenario.locations else "",
                    )
                    for n in range(sites)
                ),
            )
        )

    async def run(self) -> History:
        """All of it: the storm, what is left of it, and the calm."""
        scenario = self._scenario
        loaded, wanted = self._config(scenario.sites)
        lives = [asyncio.create_task(server.live()) for server in self._servers]
        await asyncio.sleep(0)
        await self._servers[0].apply(loaded, wanted)
        self._set_disk(scenario.weather)
        lives += [asyncio.create_task(agent.live()) for agent in self._agents]
        trouble = [
            asyncio.create_task(each)
            for each in (
                self._reload(),
                self._set_clocks(),
                self._keep_agents_away(),
                self._cut_agents_off(),
                self._leave_places(),
            )
        ]
        await asyncio.sleep(scenario.rough_s)
        await asyncio.wait(trouble, timeout=HOUR_S / 2)
        self._calm_down()
        await asyncio.sleep(scenario.settle_s)
        self._history.calm_s = self._loop.time()
        await asyncio.sleep(scenario.calm_s)
        self._history.end_s = self._loop.time()
        for life in [*lives, *trouble]:
            life.cancel()
        await asyncio.wait([*lives, *trouble])
        self._raise_errors([*lives, *trouble])
        for server in self._servers:
            server.close()
        self._read_database()
        return self._history

    def _raise_errors(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            if not task.cancelled():
                task.result()

    def _calm_down(self) -> None:
        self._common.weather = Weather()
        self._set_disk(Weather())
        for server in self._servers:
            server.clock.offset = timedelta()

    def _set_disk(self, weather: Weather) -> None:
        self._faults.__dict__.update(_disk_faults(weather).__dict__)

    async def _reload(self) -> None:
        """Change the config now and then, until each change is in force."""
        for _ in range(self._scenario.reloads):
            pause_s = self._scenario.rough_s / (self._scenario.reloads + 1)
            await asyncio.sleep(pause_s * self._rng.uniform(0.5, 1.0))
            sites = self._rng.randint(1, self._scenario.sites)
            loaded, wanted = self._config(sites, has_old_path=self._rng.random() < 0.5)
            is_done = False
            while not is_done:
                is_done = await self._rng.choice(self._servers).apply(loaded, wanted)
                await asyncio.sleep(self._rng.uniform(1, 300))
            self._common.loaded = loaded

    async def _set_clocks(self) -> None:
        """Set a server's clock an hour forward or back, and right again later."""
        for _ in range(self._scenario.clock_jumps):
            pause_s = self._scenario.rough_s / (self._scenario.clock_jumps + 1)
            server = self._rng.choice(self._servers)
            await asyncio.sleep(pause_s * self._rng.uniform(0.2, 0.5))
            server.clock.offset = timedelta(seconds=self._rng.choice([-3600, 3600, 5]))
            self._common.note_trouble()
            self._common.tell_change()
            await asyncio.sleep(pause_s * self._rng.uniform(0.1, 0.5))
            server.clock.offset = timedelta()
            self._common.note_trouble()

    async def _keep_agents_away(self) -> None:
        for _ in range(self._scenario.absences):
            await asyncio.sleep(self._rng.uniform(1, 6) * HOUR_S)
            back_at = self._loop.time() + self._rng.uniform(3, 7) * HOUR_S
            for agent in self._agents:
                agent.stays_away_until_s = back_at

    async def _cut_agents_off(self) -> None:
        for _ in range(self._scenario.cut_offs):
            pause_s = self._scenario.rough_s / (self._scenario.cut_offs + 1)
            await asyncio.sleep(pause_s * self._rng.uniform(0.2, 0.6))
            agent = self._rng.choice(self._agents)
            await agent.be_cut_off(pause_s * self._rng.uniform(0.05, 0.4))

    async def _leave_places(self) -> None:
        """Keep all agents of a place away for a while."""
        for _ in range(self._scenario.away):
            pause_s = self._scenario.rough_s / (self._scenario.away + 1)
            await asyncio.sleep(pause_s * self._rng.uniform(0.2, 0.6))
            back_at = self._loop.time() + pause_s * self._rng.uniform(0.1, 0.4)
            place = self._rng.choice(_places(self._scenario))
            for agent in self._agents:
                if agent.place == place:
                    agent.stays_away_until_s = back_at

    def _read_database(self) -> None:
        history, diary = self._history, self._common.diary
        history.leases = diary.leases()
        history.lease_ends = diary.lease_ends()
        history.moves = diary.moves()
        history.archivals = diary.archivals()
        history.attempts = diary.attempts()
        history.results = diary.results()
        history.counted = diary.counted()
        history.left_out = diary.left_out()
        history.events = diary.events()
        history.deliveries = diary.deliveries()
        history.dues = diary.dues()
        history.tasks = diary.tasks()
        history.idle_duties = diary.idle_duties(
            START + timedelta(seconds=history.calm_s)
        )
        diary.close()


def _places(scenario: Scenario) -> list[str]:
    return [f"place{n}" for n in range(scenario.locations)]


def _listed(checks: list[str]) -> str:
    return ", ".join(f"{{{check}}}" for check in checks)


def _disk_faults(weather: Weather) -> DiskFaults:
    return DiskFaults(
        weather.busy,
        weather.broken,
        weather.lost_commit,
        weather.unheard_commit,
        weather.death,
    )
