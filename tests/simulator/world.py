"""One simulated world from one seed: websites, a server, a network, two agents."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from sqlalchemy import event, select

from argos.agent.backoff import Backoff
from argos.agent.loop import AgentLoop, LoopSettings
from argos.agent.reporter import Reporter
from argos.server.database import Database
from argos.server.migrations.runner import migrate
from argos.server.models import Event, Result, Task
from argos.server.services.reconcile import reconcile
from argos.server.settings import read_config
from tests.simulator.history import (
    History,
    StoredEvent,
    StoredResult,
    StoredTask,
)
from tests.simulator.network import Faults, FaultyLink, SimulatedServer
from tests.simulator.sites import ScriptedEngine, make_sites
from tests.simulator.virtual_time import VirtualClock, VirtualTimeLoop

T = TypeVar("T")

CONFIG = """
general:
  db: {{url: "sqlite:///unused.db"}}
  cookie_secret: simulated
  frequency: "{period_s}s"
  retry_before_notification: {retries}
  ipv6: false
  timeout: "30s"
  alerts: {{ok: [], warning: [], critical: [local], unknown: [local], no_agent: []}}
service: {{secrets: [simulated]}}
ssl: {{thresholds: []}}
recurring_tasks:
  max_results_age: "30d"
  max_lock_seconds: 100
  time_without_agent: 5
websites:
{websites}
"""
WEBSITE = """
  - domain: "http://site{n}.example"
    paths:
      - path: "/"
        checks: [{{status-is: 200}}, {{status-in: [200, 404]}}]
"""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a seed decides."""

    seed: int
    site_count: int = 12
    agent_count: int = 2
    period_s: int = 60
    retries: int = 1
    rough_s: float = 1_200
    """For so long the network fails and agents crash."""
    calm_s: float = 600
    faults: Faults = field(
        default_factory=lambda: Faults(
            lost_request=0.05, lost_answer=0.1, repeated=0.15, longest_delay_s=2.0
        )
    )
    crash_every_s: float = 200


def simulate(scenario: Scenario, folder: Path) -> History:
    """Run a scenario in virtual time; return what happened."""
    loop = VirtualTimeLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_World(scenario, folder, loop).run())
    finally:
        _end_all(loop)
        asyncio.set_event_loop(None)
        loop.close()


def _end_all(loop: VirtualTimeLoop) -> None:
    """As asyncio.run does: nothing of one world outlives it."""
    rest = asyncio.all_tasks(loop)
    for task in rest:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))


class _World:
    def __init__(self, scenario: Scenario, folder: Path, loop: VirtualTimeLoop) -> None:
        self._scenario = scenario
        self._loop = loop
        self._rng = random.Random(scenario.seed)
        self._clock = VirtualClock(loop)
        self._history = History(period=timedelta(seconds=scenario.period_s))
        self._faults = replace(scenario.faults)
        self._path = folder / "config.yaml"
        self._path.write_text(
            CONFIG.format(
                period_s=scenario.period_s,
                retries=scenario.retries,
                websites="".join(
                    WEBSITE.format(n=n) for n in range(scenario.site_count)
                ),
            )
        )
        self._loaded = read_config(self._path, environ={})
        self._database = Database(f"sqlite:///{folder / 'argos.db'}")
        # The disk is trusted here; what is tested is what we do with it.
        event.listen(self._database.engine, "connect", _forgo_sync)
        self._server = SimulatedServer(
            self._database,
            self._loaded.config,
            clock=self._clock,
            history=self._history,
        )

    async def run(self) -> History:
        scenario = self._scenario
        migrate(self._database)
        reconcile(self._database, self._loaded, now=self._clock.utcnow())
        urls = [f"http://site{n}.example/" for n in range(scenario.site_count)]
        duration = scenario.rough_s + scenario.calm_s
        engine = ScriptedEngine(make_sites(urls, rng=self._rng, duration_s=duration))
        living = [
            asyncio.create_task(self._live(f"agent-{n}", engine))
            for n in range(scenario.agent_count)
        ]
        await asyncio.sleep(scenario.rough_s)
        self._calm_down()
        # What is under way when the storm ends still belongs to it.
        await asyncio.sleep(self._history.longest_lease.total_seconds() + 120)
        self._history.calm_from = self._clock.utcnow()
        await asyncio.sleep(scenario.calm_s)
        self._history.end = self._clock.utcnow()
        for life in living:
            life.cancel()
        await asyncio.wait(living)
        self._read_database()
        self._database.close()
        return self._history

    def _calm_down(self) -> None:
        self._faults.lost_request = self._faults.lost_answer = 0.0
        self._faults.repeated = 0.0
        self._faults.longest_delay_s = 0.05

    async def _live(self, name: str, engine: ScriptedEngine) -> None:
        """An agent's lives, one after the other; each ends as by `kill -9`."""
        rng = random.Random(self._rng.random())
        while True:
            life = asyncio.create_task(self._agent(name, engine, rng).run())
            lifetime = rng.expovariate(1 / self._scenario.crash_every_s)
            crashes = self._loop.time() + lifetime < self._scenario.rough_s
            try:
                await asyncio.wait({life}, timeout=lifetime if crashes else None)
            finally:
                life.cancel()
                await asyncio.wait({life})
            await asyncio.sleep(rng.uniform(0, 30))

    def _agent(
        self, name: str, engine: ScriptedEngine, rng: random.Random
    ) -> AgentLoop:
        offset = timedelta(seconds=rng.choice([0, -7200, 90, 31_536_000]))
        clock = VirtualClock(self._loop, offset=offset)
        link = FaultyLink(self._server, name, faults=self._faults, rng=rng)
        backoff = Backoff(rng)
        reporter = Reporter(
            link,
            None,
            clock=clock,
            backoff=Backoff(rng),
            run_blocking=_run_inline,
        )
        return AgentLoop(
            link,
            engine,
            reporter,
            clock=clock,
            backoff=backoff,
            settings=LoopSettings(slots=rng.choice([3, 20])),
            capabilities=lambda: ("response-time",),
            run_blocking=_run_inline,
        )

    def _read_database(self) -> None:
        with self._database.reading() as session:
            self._history.results = [
                StoredResult(row.task_id, row.submitted_at, row.severity, row.is_late)
                for row in session.scalars(select(Result))
            ]
            self._history.events = [
                StoredEvent(row.task_id, row.seq, row.kind, row.at, row.severity)
                for row in session.scalars(select(Event))
            ]
            self._history.tasks = [
                StoredTask(
                    row.id,
                    row.group_id or 0,
                    row.severity,
                    row.completed_at,
                    row.told_severity,
                    row.retry_before_notification,
                )
                for row in session.scalars(select(Task))
            ]


async def _run_inline(  # noqa: RUF029  # it stands in for asyncio.to_thread
    function: Callable[[], T], /
) -> T:
    return function()


def _forgo_sync(connection: object, _entry: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")  # type: ignore[attr-defined]  # sqlite3's own connection
