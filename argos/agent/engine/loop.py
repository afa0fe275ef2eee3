"""The loop of a probe worker: libcurl, what goes without it, the resolver and the agent
on one poller.
"""

from collections.abc import Callable
from dataclasses import dataclass

from argos.agent.engine import wire
from argos.agent.engine.driver import Driver
from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.lifecycle import Lifecycle
from argos.agent.engine.pipe import Pipe
from argos.agent.engine.plain import PlainDriver
from argos.agent.engine.poller import Poller
from argos.agent.engine.resolver import Resolvers
from argos.agent.engine.timing import RunQueue, StallLog
from argos.agent.engine.transfer import Intake
from argos.clock import Clock
from argos.core.probe import NO_DETAILS, Outcome, ProbeResponse

MAX_BODY_MEMORY = 128 * 1024 * 1024
"""For the bodies of all probes of a worker together."""
MAX_BACKLOG = 32 * 1024 * 1024
"""Outcomes that the agent has not taken yet; beyond it, no probe is begun."""

_BUSY_INTERVAL = 0.05
"""How long a sleep may be while something is measured: oversleeping shows this way."""
_HEARTBEAT_INTERVAL = 1.0
_OUTCOME_SIZE = 1024
_QUEUE_STEP = 0.1
"""Seconds by which the queue grows or shrinks before the agent hears of it."""

Handler = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What a loop does beside its work."""

    heartbeat: Callable[[], object]
    """Called every now and then for as long as the loop turns."""
    when_idle: Callable[[], object]
    """Called once after work, when nothing has come for a while."""
    idle_interval: float = 20.0


class ProbeLoop:
    """Takes probes from the pipe, makes them, and puts their outcomes back."""

    def __init__(
        self,
        pipe: Pipe,
        settings: EngineSettings,
        *,
        clock: Clock,
        poller: Poller,
        rhythm: Rhythm,
    ) -> None:
        assert settings.ca_file is not None
        self._pipe = pipe
        self._clock = clock
        self._poller = poller
        self._rhythm = rhythm
        self._beat_at = clock.monotonic()
        self._has_worked = False
        self._told_queue_s = 0.0
        self._handlers: dict[int, Handler] = {}
        self._stalls = StallLog(clock)
        self._run_queue: RunQueue
        self._resolver = Resolvers(
            self._watch, clock, name_servers=settings.name_servers
        )
        intake = Intake(MAX_BODY_MEMORY)
        self._lifecycle = Lifecycle(
            settings,
            clock=clock,
            stalls=self._stalls,
            resolver=self._resolver,
            intake=intake,
            report=self._report,
        )
        self._driver = Driver(
            poller,
            clock,
            ca_file=settings.ca_file,
            intake=intake,
            when_done=self._lifecycle.on_done,
        )
        self._lifecycle.driver = self._driver
        self._plain = self._lifecycle.plain = PlainDriver(
            self._watch, clock, when_done=self._lifecycle.on_done
        )

    def run(self) -> None:
        """Go on until the agent closes the pipe."""
        # Made here, since it is about the thread that turns the loop.
        self._run_queue = RunQueue()
        self._pipe.flush()
        self._watch(self._pipe.fileno(), self._pipe.wants, self._on_pipe)
        try:
            while self._pipe.is_open:
                self._turn()
        finally:
            self._plain.close()
            self._driver.close()
            self._resolver.close()
            self._poller.close()
            self._run_queue.close()

    def _turn(self) -> None:
        slept_at = self._clock.monotonic()
        patience = self._patience(slept_at)
        events = self._poller.poll(patience)
        now = self._clock.monotonic()
        # We were stopped, or the machine had no CPU for us.
        overslept = max(0.0, now - slept_at - patience, self._run_queue.waited())
        self._stalls.begin(now - overslept)
        handlers = self._handlers
        process = self._driver.process
        for fd, ready in events:
            handlers.get(fd, process)(fd, ready)
        self._driver.resume()
        self._driver.process_timers(now)
        self._plain.process(now)
        self._resolver.process_timeouts()
        self._lifecycle.process_lookups(now)
        self._driver.collect()
        if self._pipe.backlog < MAX_BACKLOG:
            self._lifecycle.admit()
        self._tell(now)
        self._poller.watch(self._pipe.fileno(), self._pipe.wants)
        now = self._clock.monotonic()
        self._stalls.end(now)
        if now - self._beat_at > _HEARTBEAT_INTERVAL:
            self._beat_at = now
            self._rhythm.heartbeat()
        if self._has_worked and not events and not self._is_busy:
            self._has_worked = False
            self._rhythm.when_idle()

    def _tell(self, now: float) -> None:
        """Send outcomes, and how long the queue is.

        Else what has not begun would be taken for what waits for its website.
        """
        queue_s = self._lifecycle.queue_s
        if abs(queue_s - self._told_queue_s) > _QUEUE_STEP:
            self._told_queue_s = queue_s
            self._pipe.put((wire.QUEUE, queue_s), size=0)
        if self._is_busy:
            self._pipe.flush_due(now)
        else:
            self._pipe.flush()

    @property
    def _is_busy(self) -> bool:
        """Whether something is measured."""
        return self._driver.is_busy or self._plain.is_busy

    def _patience(self, now: float) -> float:
        times = (
            self._driver.patience(now),
            self._plain.patience(now),
            self._lifecycle.patience(now),
            self._resolver.patience(),
            self._pipe.patience(now),
        )
        longest = _BUSY_INTERVAL if self._is_busy else self._rhythm.idle_interval
        return min([longest, *(time for time in times if time is not None)])

    def _watch(self, fd: int, mask: int, process: Handler) -> None:
        self._poller.watch(fd, mask)
        if mask:
            self._handlers[fd] = process
        else:
            self._handlers.pop(fd, None)

    def _on_pipe(self, _fd: int, _ready: int) -> None:
        self._has_worked = True
        for item in self._pipe.receive():
            match item[0]:
                case wire.RUN:
                    self._lifecycle.take_in(item[1], item[2])
                case wire.CANCEL:
                    self._lifecycle.cancel(item[1])
                case wire.LEARN:
                    self._lifecycle.learn(*wire.probe_from_item(item))
                case wire.FORGET:
                    self._lifecycle.forget(item[1])

    def _report(self, number: int, outcome: Outcome) -> None:
        size = _size_of(outcome)
        if outcome.details is not NO_DETAILS:
            size += sum(map(_size_of, outcome.details.by_address))
        self._pipe.put(wire.outcome_to_item(number, outcome), size=size)


def _size_of(outcome: Outcome) -> int:
    body_size = len(outcome.body) if isinstance(outcome, ProbeResponse) else 0
    return _OUTCOME_SIZE + body_size
