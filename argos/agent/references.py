"""Is it the website, or is it us? An agent asks places that are always there.

Only when a website fails: as long as all is well, a reference costs nothing.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from argos.clock import Clock
from argos.core.probe import Outcome, Probe, ProbeResponse

log = logging.getLogger(__name__)

REFERENCE_TIMEOUT = timedelta(seconds=3)
FRESH_S = 5.0
"""For so long an answer holds: the failures of a moment have one cause."""
LIMIT_S = 5.0
"""So long a failure waits for the answer at most, whatever the engine does."""


class Prober(Protocol):
    """What asks a place; `ProbeEngine` does."""

    async def probe(self, probe: Probe) -> Outcome:
        """Make one probe; its failure is an outcome, too."""


class References:
    """Some places, of which one at least answers while the network works."""

    def __init__(self, urls: Sequence[str], prober: Prober, *, clock: Clock) -> None:
        self._probes = [Probe(url=url, timeout=REFERENCE_TIMEOUT) for url in urls]
        self._prober = prober
        self._clock = clock
        self._looked_at: float | None = None
        self._is_reached = True
        self._looking: asyncio.Task[bool] | None = None

    async def is_any_reached(self) -> bool:
        """Whether one of them answers; all that ask at once get the same answer."""
        now = self._clock.monotonic()
        if self._looked_at is not None and now - self._looked_at < FRESH_S:
            return self._is_reached
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(now))
        return await asyncio.shield(self._looking)

    async def _look(self, began_at: float) -> bool:
        try:
            async with asyncio.timeout(LIMIT_S):
                found = await self._ask()
        except TimeoutError:
            found = False
        finally:
            self._looking = None
        if found != self._is_reached:
            text = "A reference answers again" if found else "No reference answers"
            log.warning("%s: what fails says %s", text, _MEANING[found])
        self._looked_at, self._is_reached = began_at, found
        return found

    async def _ask(self) -> bool:
        """Ask all at once, and be content with the first that answers."""
        asked = [
            asyncio.create_task(self._prober.probe(probe)) for probe in self._probes
        ]
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    outcome = await answer
                except Exception:  # one that cannot be asked is one that is not reached
                    log.exception("A reference could not be asked")
                    continue
                # Any answer will do: it is the way there that counts.
                if isinstance(outcome, ProbeResponse):
                    return True
            return False
        finally:
            for task in asked:
                task.cancel()


_MEANING = {
    True: "something of the websites",
    False: "nothing of the websites, but that this agent is cut off",
}
