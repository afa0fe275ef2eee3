"""For engines whose probes are coroutines: each runs as a task."""

import asyncio
import logging

from argos.agent.engine.interface import BreakOff, WhenDone
from argos.core.probe import FailureKind, Outcome, Probe, ProbeFailure

logger = logging.getLogger(__name__)


class ByTask:
    """Gives an engine `begin`, which it has to offer, on top of its own `probe`."""

    def __init__(self) -> None:
        self._begun: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> tuple[int, ...]:
        """None: the probes run in our own process."""
        return ()

    @property
    def queue_s(self) -> float:
        """They begin at once."""
        return 0.0

    async def probe(self, probe: Probe) -> Outcome:
        """Make one probe."""
        raise NotImplementedError

    def begin(self, probe: Probe, done: WhenDone) -> BreakOff:
        """Make one probe, and call `done` once, later, with its outcome."""
        task = asyncio.create_task(self._finish(probe, done))
        # The event loop alone would not keep it alive.
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        return task.cancel

    async def _finish(self, probe: Probe, done: WhenDone) -> None:
        try:
            outcome = await self.probe(probe)
        except Exception as err:
            logger.exception("Could not probe %s", probe.url)
            outcome = ProbeFailure(
                FailureKind.INTERNAL, f"The probe engine failed: {type(err).__name__}."
            )
        done(outcome)
