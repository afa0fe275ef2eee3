"""Websites with a scripted truth, and the engine that probes them without a network."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass

from argos.agent.engine.by_task import ByTask
from argos.core.probe import (
    FailureKind,
    Outcome,
    Probe,
    ProbeFailure,
    ProbeResponse,
    Timings,
)

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Outage:
    """From `start_s` to `end_s` the website gives this status; 0: it hangs."""

    start_s: float
    end_s: float
    status_code: int


@dataclass(frozen=True, slots=True)
class Site:
    """How a website answers, for all of the simulated time."""

    latency_s: float
    outages: tuple[Outage, ...]

    def status_at(self, second: float) -> int:
        """The status code at a moment; 0: no answer at all."""
        for outage in self.outages:
            if outage.start_s <= second < outage.end_s:
                return outage.status_code
        return 200


def make_sites(
    urls: list[str], *, rng: random.Random, duration_s: float
) -> dict[str, Site]:
    """Sites of which most are well, some break, some hang and some flap."""
    return {
        url: Site(
            latency_s=rng.uniform(0.01, 3.0),
            outages=tuple(
                Outage(start, start + rng.uniform(10, 900), rng.choice([500, 404, 0]))
                for start in sorted(
                    rng.uniform(0, duration_s) for _ in range(rng.choice([0, 0, 1, 6]))
                )
            ),
        )
        for url in urls
    }


class ScriptedEngine(ByTask):
    """A probe engine whose websites are made up."""

    name = "scripted"
    capacity = 1_000

    def __init__(self, sites: Mapping[str, Site]) -> None:
        super().__init__()
        self._sites = sites

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to close."""

    async def probe(self, probe: Probe) -> Outcome:
        """Answer after the website's latency, or not before the deadline."""
        site = self._sites[probe.url]
        status = site.status_at(asyncio.get_running_loop().time())
        if status == 0:
            await asyncio.sleep(probe.timeout.total_seconds())
            return ProbeFailure(FailureKind.TIMEOUT, "It did not answer in time.")
        await asyncio.sleep(site.latency_s)
        total_us = int(site.latency_s * MICROSECONDS)
        return ProbeResponse(status, timings=Timings(total_us=total_us))
