"""Agents that live, crash as by `kill -9`, stop in order, and stay away for hours."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from argos.agent.backoff import Backoff
from argos.agent.loop import AgentLoop, LoopSettings
from argos.agent.references import References
from argos.agent.reporter import Reporter
from argos.agent.spool import Spool, SpooledCopy
from argos.checks import get_registered_checks
from argos.protocol import OPTIONS_CAPABILITY
from tests.simulator.history import History
from tests.simulator.network import FaultyLink, key_of
from tests.simulator.server import Common, Server, hash_of
from tests.simulator.sites import REFERENCE, ScriptedEngine
from tests.simulator.virtual_time import VirtualClock

T = TypeVar("T")

CAPABILITIES = tuple(sorted(get_registered_checks()))
LOOK_S = 600.0
"""So often an agent looks whether its life is over."""


class Agent:
    """The product's own agent, one process after the other under one name."""

    def __init__(
        self,
        name: str,
        servers: Sequence[Server],
        engine: ScriptedEngine,
        *,
        common: Common,
        folder: Path,
    ) -> None:
        self._name = name
        self._servers = servers
        self._engine = engine
        self._common = common
        self._folder = folder / name
        self._rng = random.Random(common.scenario.seed * 37 + hash_of(name))
        offset_s = self._rng.choice([0, -7_200, 90, 31_536_000])
        self._clock = VirtualClock(common.loop, offset=timedelta(seconds=offset_s))
        self.stays_away_until_s = 0.0

    @property
    def place(self) -> str | None:
        """Where it stands."""
        return self._common.place_of(self._name)

    async def be_cut_off(self, seconds: float) -> None:
        """Reach nothing but the servers for a while."""
        self._engine.is_cut_off = True
        await asyncio.sleep(seconds)
        self._engine.is_cut_off = False

    async def live(self) -> None:
        """One life after the other, each ended by a crash or in order."""
        while True:
            left = self.stays_away_until_s - self._common.loop.time()
            await asyncio.sleep(max(left, 0))
            await self._live_once()
            await asyncio.sleep(self._rng.uniform(0, 120))

    async def _live_once(self) -> None:
        link = FaultyLink(self._servers, self._name, common=self._common, rng=self._rng)
        spool = _Spool(self._folder, self._common.history)
        spool.open()
        agent = self._agent(link, spool)
        life = asyncio.create_task(agent.run())
        try:
            await self._until_the_end(life)
            if self._rng.random() < 0.3:
                agent.stop()
                await asyncio.wait({life}, timeout=60)
        finally:
            link.is_cut = spool.is_dead = True
            life.cancel()
            await asyncio.wait({life})
            spool.close()

    async def _until_the_end(self, life: asyncio.Task[None]) -> None:
        """Return when the agent's life is over, or it is time to stay away."""
        mean_s = self._common.weather.agent_life_s
        ends_at = self._common.loop.time() + self._rng.expovariate(1) * mean_s
        while not life.done():
            now = self._common.loop.time()
            is_calm = self._common.weather.agent_life_s == float("inf")
            left_s = LOOK_S if is_calm else ends_at - now
            if left_s <= 0 or self.stays_away_until_s > now:
                return
            await asyncio.wait({life}, timeout=min(left_s, LOOK_S))

    def _agent(self, link: FaultyLink, spool: Spool) -> AgentLoop:
        reporter = Reporter(
            link,
            spool,
            clock=self._clock,
            backoff=Backoff(self._rng),
            run_blocking=_run_inline,
        )
        capabilities = CAPABILITIES
        if self.place is not None:
            capabilities += (OPTIONS_CAPABILITY,)
        return AgentLoop(
            link,
            self._engine,
            reporter,
            clock=self._clock,
            backoff=Backoff(self._rng),
            settings=LoopSettings(slots=self._slots(), wait_s=60.0),
            capabilities=lambda: capabilities,
            run_blocking=_run_inline,
            references=None
            if self.place is None
            else References([REFERENCE], self._engine, clock=self._clock),
        )

    def _slots(self) -> int:
        """Many, few, or one; but whoever is alone at its place has one for each website.

        Else one that hangs would keep the others waiting, and nobody else could help.
        """
        scenario = self._common.scenario
        least = scenario.sites if scenario.locations else 1
        return max(least, self._rng.choice([1, 3, 20]))


class _Spool(Spool):
    """Notes what it holds; a dead agent writes no more."""

    def __init__(self, folder: Path, history: History) -> None:
        super().__init__(folder)
        self._history = history
        self.is_dead = False

    def append(self, payloads: Sequence[bytes], *, now: datetime) -> SpooledCopy:
        if self.is_dead:
            raise OSError("The agent is dead.")
        copy = super().append(payloads, now=now)
        self._history.spooled.update(map(key_of, payloads))
        return copy


async def _run_inline(  # noqa: RUF029  # it stands in for asyncio.to_thread
    function: Callable[[], T], /
) -> T:
    return function()
