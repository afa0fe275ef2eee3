"""The agent's end of one probe worker: its process, and the probes it has."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import cast

import msgspec

import argos
from argos.agent.engine.interface import EngineSettings, WhenDone
from argos.agent.engine.wire import (
    CANCEL,
    FORGET,
    QUEUE,
    READY,
    RUN,
    FrameReader,
    Item,
    outcome_from_item,
    pack,
    probe_to_item,
    settings_to_item,
)
from argos.core.probe import FailureKind, Outcome, Probe, ProbeFailure
from argos.errors import EngineError

START_TIMEOUT = 20.0
STOP_TIMEOUT = 2.0
OVERDUE_MARGIN = 1.0
HANDSHAKES_PER_SECOND = 320
"""How fast a worker begins probes in the worst case (`lifecycle.FRESH_TIME`)."""

# What a Python process needs to find itself and its libraries. All else, tokens and
# passwords above all, is no business of a process that reads hostile answers.
_PASSED_ON = (
    "DYLD_LIBRARY_PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "LOCALDOMAIN",
    "PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "RES_OPTIONS",
    "TMPDIR",
    "TZ",
)


class Run(msgspec.Struct, eq=False):
    """A probe to be made once, and whoever waits for its outcome."""

    probe: Probe
    done: WhenDone
    attempts: int = 0
    """How many workers have had it."""
    link: "WorkerLink | None" = None
    """The one that has it."""
    number: int = 0
    """By which that one knows it."""
    overdue_at: float = 0.0
    """On the event loop's clock."""
    is_over: bool = False


class Known(msgspec.Struct, frozen=True):
    """A probe that the worker remembers."""

    key: int
    probe: Probe
    """The very one, so that no other can have its identity."""
    limit_s: float
    """After which it is overdue."""


class WorkerLink(asyncio.Protocol):
    """One worker, from its start to its end; it is not started twice."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        settings: EngineSettings,
        report: Callable[[Run, Outcome], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self.process = process
        self.ready: asyncio.Future[bool] = self._loop.create_future()
        """True once it takes probes; False when it ended before that."""
        self.lost: asyncio.Future[None] = self._loop.create_future()
        """Done once the worker is gone, for whatever reason."""
        self.queue_s = 0.0
        """How long probes wait there for their turn."""
        self._report = report
        self._queue_time = settings.slots / HANDSHAKES_PER_SECOND
        self._max_known = settings.known_probes
        self._runs: dict[int, Run] = {}
        self._suspects: set[int] = set()
        self._known: dict[int, Known] = {}
        """By identity: a probe never changes, and the same one comes again and again."""
        self._reader = FrameReader()
        self._outbox: list[Item] = []
        self._last_number = 0
        self._last_key = 0
        self._transport: asyncio.Transport | None = None

    @property
    def load(self) -> int:
        """How many probes the worker has."""
        return len(self._runs)

    def begin(self, run: Run) -> None:
        """Have the worker make a probe."""
        self._last_number = number = self._last_number + 1
        probe = run.probe
        run.link = self
        run.number = number
        self._runs[number] = run
        known = self._known.get(id(probe)) or self._teach(probe)
        run.overdue_at = self._now() + known.limit_s
        self._send((RUN, number, known.key))

    def break_off(self, run: Run) -> None:
        """Nobody waits for the outcome: the website need not hear more of us."""
        del self._runs[run.number]
        self._send((CANCEL, run.number))

    def _teach(self, probe: Probe) -> Known:
        """Tell the worker a probe that it does not know, or no longer."""
        if len(self._known) >= self._max_known:
            oldest = next(iter(self._known))
            self._send((FORGET, self._known.pop(oldest).key))
        self._last_key = key = self._last_key + 1
        self._send(probe_to_item(key, probe))
        limit_s = probe.timeout.total_seconds() + self._queue_time + OVERDUE_MARGIN
        known = self._known[id(probe)] = Known(key, probe, limit_s)
        return known

    def fail_overdue(self) -> bool:
        """Fail the probes that are overdue twice in a row; True: the worker is stuck.

        Once is not enough, since it may be this process that was late, and the
        outcomes may lie in the socket.
        """
        now = self._now()
        overdue = {number for number, run in self._runs.items() if run.overdue_at < now}
        is_stuck = False
        for number in overdue & self._suspects:
            is_stuck = True
            failure = ProbeFailure(
                FailureKind.INTERNAL, "The probe worker did not answer."
            )
            self._report(self._runs.pop(number), failure)
        self._suspects = overdue
        return is_stuck

    def take_all(self) -> list[Run]:
        """Take from the worker all that it has."""
        runs = list(self._runs.values())
        self._runs.clear()
        return runs

    async def close(self) -> None:
        """End the worker: by closing its socket, and by force if it takes no notice."""
        if self._transport is not None:
            self._transport.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT):
                await self.process.wait()
                return
        self.kill()
        await self.process.wait()

    def kill(self) -> None:
        """End the worker at once."""
        with suppress(ProcessLookupError):
            self.process.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No check: uvloop's transports are of no common class with asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        for item in self._reader.feed(data):
            run = self._runs.pop(item[0], None)
            if run is not None:
                self._report(run, outcome_from_item(item))
            elif item[0] == QUEUE:
                self.queue_s = item[1]
            elif item[0] == READY:
                self.ready.set_result(True)

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_result(False)
        self.lost.set_result(None)

    def send_settings(self, settings: EngineSettings) -> None:
        """Tell a worker that has just been started how to probe."""
        self._send(settings_to_item(settings))

    def _send(self, item: Item) -> None:
        if not self._outbox:
            # Whatever else is sent in this turn of the loop goes out together.
            self._loop.call_soon(self._flush)
        self._outbox.append(item)

    def _flush(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(pack(self._outbox))
        self._outbox.clear()


async def start_worker(
    settings: EngineSettings,
    environment: Mapping[str, str],
    report: Callable[[Run, Outcome], None],
) -> WorkerLink:
    """Start a worker and wait until it takes probes; `report` gets their outcomes.

    Raises EngineError when it does not; its own words are on standard error.
    """
    ours, theirs = socket.socketpair()
    with ExitStack() as unless_started:
        unless_started.enter_context(ours)
        with theirs:
            process = await _spawn(theirs.fileno(), environment)
        link = WorkerLink(process, settings, report)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: link, sock=ours)
        # From here on, the socket is the transport's.
        unless_started.pop_all()
    link.send_settings(settings)
    is_ready = False
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT):
                is_ready = await link.ready
    finally:
        if not is_ready:
            await link.close()
    if not is_ready:
        raise EngineError(
            f"A probe worker did not start (exit status {process.returncode});"
            " standard error tells more."
        )
    return link


async def _spawn(fd: int, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "argos.agent.engine.worker",
        str(fd),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        pass_fds=(fd,),
        env=dict(environment),
    )


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of the agent's environment that a worker gets."""
    passed_on = {name: environment[name] for name in _PASSED_ON if name in environment}
    root = str(Path(argos.__file__).parent.parent)
    path = [root, *passed_on.get("PYTHONPATH", "").split(os.pathsep)]
    passed_on["PYTHONPATH"] = os.pathsep.join(part for part in path if part)
    return passed_on
