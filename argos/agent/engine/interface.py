"""What every probe engine offers, and how it is set up."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from argos import VERSION
from argos.agent.engine.address import Policy
from argos.core.probe import Outcome, Probe

DEFAULT_SLOTS = 250
"""Probes under way per worker: at 100 to 150 KB each over HTTPS, 40 MB at the most."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How an agent probes; the same for every probe."""

    workers: int = 1
    """Processes that probe; beside them the agent's own process needs a core's share."""
    slots: int = DEFAULT_SLOTS
    known_probes: int = 10_000
    """That a worker remembers, at 1 KB each; one more, and it forgets the oldest."""
    ca_file: str | None = None
    """PEM file of the trusted roots; None: the ones that come with certifi."""
    user_agent_suffix: str = ""
    policy: Policy = field(default_factory=Policy)
    name_servers: tuple[str, ...] = ()
    """Such as "9.9.9.9" or "127.0.0.1:5353"; empty: those of the system."""
    proxy: str | None = field(default=None, repr=False)
    """By what websites are reached that do not say otherwise."""

    @property
    def user_agent(self) -> str:
        """How a probe names itself to websites."""
        # The first words are those of 0.10.3: firewalls let them through by name.
        return f"Argos Panoptes {VERSION} (website monitor){self.user_agent_suffix}"


WhenDone = Callable[[Outcome], object]
BreakOff = Callable[[], object]


class ProbeEngine(Protocol):
    """Makes probes. A probe always ends in an outcome, whatever the target does."""

    @property
    def name(self) -> str:
        """Which library does the work, for logs and pages."""

    @property
    def capacity(self) -> int:
        """How many probes may be under way at once; more of them wait their turn."""

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that it has beside our own."""

    @property
    def queue_s(self) -> float:
        """How long probes wait at the moment before they really begin, in seconds."""

    async def start(self) -> None:
        """Make ready. Raises EngineError, saying what is missing."""

    def begin(self, probe: Probe, done: WhenDone) -> BreakOff:
        """Make one probe, and call `done` once, later, with its outcome.

        Its deadline counts from when it gets a slot. What is returned breaks it off;
        `done` is not called then.
        """

    async def probe(self, probe: Probe) -> Outcome:
        """The same, for who has few of them."""

    async def close(self) -> None:
        """Stop; probes still under way end as failures of kind `internal`."""
