"""Websites with a scripted truth, and the engine that probes them without a network."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from argos.agent.engine.by_task import ByTask
from argos.core.probe import (
    FailureKind,
    Outcome,
    Probe,
    ProbeFailure,
    ProbeResponse,
    Timings,
)
from tests.simulator.history import Truth

MICROSECONDS = 1_000_000
REFERENCE = "http://reference.example/"
"""A place that is always there."""


@dataclass(frozen=True, slots=True)
class Site:
    """How a website answers, for all of the simulated time."""

    latency_s: float
    truth: Truth

    def status_at(self, second: float) -> int:
        """The status code at a moment; 0: no answer at all."""
        for start_s, end_s, status in self.truth.outages:
            if start_s <= second < end_s:
                return status
        return 200


def make_sites(
    urls: list[str],
    *,
    rng: random.Random,
    duration_s: float,
    period_s: float,
    outages: tuple[int, ...] = (0, 1, 2, 6),
) -> dict[str, Site]:
    """Sites of which most are well, some break, some hang and some flap.

    So many outages as one of `outages` says.
    """
    return {
        url: Site(
            latency_s=rng.uniform(0.01, 3.0),
            truth=Truth(
                tuple(
                    (start, start + rng.uniform(0.1, 6) * period_s, _bad_status(rng))
                    for start in sorted(
                        rng.uniform(0, duration_s) for _ in range(rng.choice(outages))
                    )
                )
            ),
        )
        for url in urls
    }


def seen_from(
    sites: Mapping[str, Site], *, rng: random.Random, duration_s: float, period_s: float
) -> dict[str, Site]:
    """The same sites from one place, from where now and then more seems to be down."""
    return {
        url: replace(
            site,
            truth=Truth((
                *site.truth.outages,
                *(
                    (start, start + rng.uniform(0.1, 4) * period_s, 500)
                    for start in [
                        rng.uniform(0, duration_s) for _ in range(rng.choice([0, 2, 4]))
                    ]
                ),
            )),
        )
        for url, site in sites.items()
    }


def _bad_status(rng: random.Random) -> int:
    return rng.choice([500, 500, 404, 0])


class ScriptedEngine(ByTask):
    """A probe engine whose websites are made up."""

    name = "scripted"
    capacity = 1_000

    def __init__(self, sites: Mapping[str, Site], rng: random.Random) -> None:
        super().__init__()
        self._sites = sites
        self._rng = rng
        self.is_cut_off = False
        """Nothing is reached from here, but for our own servers."""

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to close."""

    async def probe(self, probe: Probe) -> Outcome:
        """Answer after the website's latency, or not before the deadline."""
        if self.is_cut_off:
            await asyncio.sleep(self._rng.uniform(0.01, 0.02))
            return ProbeFailure(FailureKind.CONNECT, "Nobody answers.")
        if probe.url == REFERENCE:
            return ProbeResponse(200, timings=Timings(total_us=1))
        site = self._sites[probe.url]
        status = site.status_at(asyncio.get_running_loop().time())
        if status == 0:
            # Nor twice the same here, as after a clock was set back by whole periods.
            timeout_s = probe.timeout.total_seconds()
            await asyncio.sleep(timeout_s * self._rng.uniform(1, 1.001))
            return ProbeFailure(FailureKind.TIMEOUT, "It did not answer in time.")
        # Never twice the same: else results under two clocks would have one moment.
        latency_s = site.latency_s * self._rng.uniform(0.8, 1.2)
        await asyncio.sleep(latency_s)
        total_us = int(latency_s * MICROSECONDS)
        return ProbeResponse(status, timings=Timings(total_us=total_us))
