"""An agent, put together from its parts."""

import hashlib
import logging
import os
import random
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from argos.agent.backoff import Backoff
from argos.agent.client import ClientSettings, ServerClient
from argos.agent.engine import EngineSettings, create_engine
from argos.agent.engine.interface import ProbeEngine
from argos.agent.load import DEFAULT_CPU_BUDGET, LoadGauge, ProcessTimes
from argos.agent.loop import AgentLoop, LoopSettings
from argos.agent.outage import OutageSettings, OutageWatch, poster
from argos.agent.references import References
from argos.agent.reporter import Reporter
from argos.agent.spool import Spool
from argos.checks import get_registered_checks
from argos.clock import system_clock
from argos.protocol import IPV6_CAPABILITY, OPTIONS_CAPABILITY

log = logging.getLogger(__name__)

_FAR_AWAY = ("2001:4860:4860::8888", 53)
"""Some address of the IPv6 internet. Nothing is ever sent there."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """All that makes one agent differ from another."""

    client: ClientSettings
    loop: LoopSettings = field(default_factory=LoopSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    spool_folder: Path | None = None
    """Where results wait for a server that is away; None: in memory only."""
    has_ipv6: bool | None = None
    """Whether to take IPv6 tasks; None: as long as there is a route."""
    outage: OutageSettings | None = None
    references: tuple[str, ...] = ()
    """URLs of places that answer as long as the network works; none: not asked."""
    cpu_budget: float = DEFAULT_CPU_BUDGET
    """Which part of the cores it may use before it takes on less."""


class ArgosAgent:
    """Leases tasks from one server, probes, and reports, until told to stop."""

    def __init__(self, settings: AgentSettings) -> None:
        rng = random.Random()  # noqa: S311  # only spreads retries
        backoff = partial(Backoff, rng)
        self._server = ServerClient(settings.client)
        self._engine = create_engine(settings.engine)
        self._spool = _open_spool(settings)
        reporter = Reporter(
            self._server, self._spool, clock=system_clock, backoff=backoff()
        )
        self._loop = AgentLoop(
            self._server,
            self._engine,
            reporter,
            clock=system_clock,
            backoff=backoff(),
            settings=settings.loop,
            capabilities=_capabilities(settings.has_ipv6),
            gauge=_make_gauge(self._engine, settings.cpu_budget),
            outage=_make_outage_watch(
                settings, _spool_folder(settings) if self._spool else None
            ),
            references=self._make_references(settings),
        )

    async def run(self) -> None:
        """Work until stopped. Raises EngineError when probing is impossible here."""
        try:
            await self._engine.start()
            await self._loop.run()
        finally:
            await self._engine.close()
            await self._server.close()
            if self._spool is not None:
                self._spool.close()

    def _make_references(self, settings: AgentSettings) -> References | None:
        if not settings.references:
            return None
        return References(settings.references, self._engine, clock=system_clock)

    def stop(self) -> None:
        """Let `run` end soon: within some seconds, and with nothing lost."""
        self._loop.stop()


def _make_outage_watch(
    settings: AgentSettings, folder: Path | None
) -> OutageWatch | None:
    """`folder` is where it remembers what it has told, over a restart."""
    if settings.outage is None:
        return None
    return OutageWatch(
        poster(settings.outage.url),
        agent=settings.client.name,
        server=settings.client.url,
        after_s=settings.outage.after_s,
        clock=system_clock,
        memory=folder and folder / "outage",
    )


def _make_gauge(engine: ProbeEngine, budget: float) -> LoadGauge:
    times = ProcessTimes(
        time.process_time, lambda: engine.pids, ticks_per_s=os.sysconf("SC_CLK_TCK")
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return LoadGauge(
        times, clock=system_clock, cores=cores or os.cpu_count() or 1, budget=budget
    )


def _spool_folder(settings: AgentSettings) -> Path | None:
    if settings.spool_folder is None:
        return None
    return settings.spool_folder / _folder_name(settings.client.url)


def _open_spool(settings: AgentSettings) -> Spool | None:
    folder = _spool_folder(settings)
    if folder is None:
        return None
    spool = Spool(folder)
    try:
        spool.open()
    except OSError as err:
        log.warning(
            "Results will wait in memory while the server is away, since the spool"
            " cannot be used: %s (see --spool-dir)",
            err,
        )
        return None
    if spool.waiting:
        log.info("Found %d results in the spool %s", spool.waiting, folder)
    return spool


def _folder_name(url: str) -> str:
    """A server's own folder: what was meant for one must not go to another."""
    host = re.sub(r"[^a-z0-9.-]", "_", (urlsplit(url).hostname or "").lower())[:60]
    return f"{host}-{hashlib.sha256(url.rstrip('/').encode()).hexdigest()[:8]}"


def _capabilities(has_ipv6: bool | None) -> Callable[[], tuple[str, ...]]:
    """What to announce at each lease: a network may come up after the agent."""
    checks = get_registered_checks().items()
    own = OPTIONS_CAPABILITY, *(name for name, check in checks if not check.is_legacy)

    def capabilities() -> tuple[str, ...]:
        if has_ipv6 if has_ipv6 is not None else has_ipv6_route():
            return (IPV6_CAPABILITY, *own)
        return own

    return capabilities


def has_ipv6_route() -> bool:
    """Whether this machine has a way into the IPv6 internet; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            # For UDP this only chooses a route and our own address.
            probe.connect(_FAR_AWAY)
            source = probe.getsockname()[0]
    except OSError:
        return False
    return source != "::1" and not source.startswith("fe80:")
