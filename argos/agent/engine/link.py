"""The agent's end of one probe worker: its process, and the probes it has."""

import asyncio
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import argos
from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.wire import (
    FrameReader,
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


@dataclass(slots=True)
class Pending:
    """A probe that a worker has."""

    future: "asyncio.Future[Outcome | None]"
    overdue_at: float
    """On the event loop's clock."""


class WorkerLink(asyncio.Protocol):
    """One worker, from its start to its end; it is not started twice."""

    def __init__(self, process: asyncio.subprocess.Process, *, slots: int) -> None:
        self._loop = asyncio.get_running_loop()
        self.process = process
        self.ready: asyncio.Future[bool] = self._loop.create_future()
        """True once it takes probes; False when it ended before that."""
        self.lost: asyncio.Future[None] = self._loop.create_future()
        """Done once the worker is gone, for whatever reason."""
        self._queue_time = slots / HANDSHAKES_PER_SECOND
        self._pending: dict[int, Pending] = {}
        self._suspects: set[int] = set()
        self._reader = FrameReader()
        self._outbox: list[bytes] = []
        self._last_number = 0
        self._transport: asyncio.Transport | None = None

    @property
    def load(self) -> int:
        """How many probes the worker has."""
        return len(self._pending)

    async def run(self, probe: Probe) -> Outcome | None:
        """Have the worker make a probe; None when it ended before the outcome."""
        if self.lost.done():
            return None
        self._last_number += 1
        number = self._last_number
        limit = probe.timeout.total_seconds() + self._queue_time + OVERDUE_MARGIN
        pending = Pending(self._loop.create_future(), self._loop.time() + limit)
        self._send(pack([probe_to_item(number, probe)]))
        self._pending[number] = pending
        try:
            return await pending.future
        finally:
            if self._pending.pop(number, None) is not None:
                # The caller was cancelled: the website need not hear more of us.
                self._send(pack([(number,)]))

    def fail_overdue(self) -> bool:
        """Fail the probes that are overdue twice in a row; True: the worker is stuck.

        Once is not enough, since it may be this process that was late, and the
        outcomes may lie in the socket.
        """
        now = self._loop.time()
        overdue = {
            number
            for number, pending in self._pending.items()
            if pending.overdue_at < now
        }
        is_stuck = False
        for number in overdue & self._suspects:
            is_stuck = True
            self._settle(
                number,
                ProbeFailure(FailureKind.INTERNAL, "The probe worker did not answer."),
            )
        self._suspects = overdue
        return is_stuck

    def settle_all(self, outcome: Outcome | None) -> None:
        """End all probes that the worker has."""
        for number in list(self._pending):
            self._settle(number, outcome)

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
            if item[0] == "ready":
                self.ready.set_result(True)
            else:
                self._settle(*outcome_from_item(item))

    def connection_lost(self, _exc: Exception | None) -> None:
        # First: by the time the probes are made again, nobody chooses this link.
        self.lost.set_result(None)
        if not self.ready.done():
            self.ready.set_result(False)
        self.settle_all(None)

    def send_settings(self, settings: EngineSettings) -> None:
        """Tell a worker that has just been started how to probe."""
        self._send(pack([settings_to_item(settings)]))

    def _send(self, frame: bytes) -> None:
        if not self._outbox:
            # Whatever else is sent in this turn of the loop goes out together.
            self._loop.call_soon(self._flush)
        self._outbox.append(frame)

    def _flush(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._outbox))
        self._outbox.clear()

    def _settle(self, number: int, outcome: Outcome | None) -> None:
        pending = self._pending.pop(number, None)
        if pending is not None and not pending.future.done():
            pending.future.set_result(outcome)


async def start_worker(
    settings: EngineSettings, environment: Mapping[str, str]
) -> WorkerLink:
    """Start a worker and wait until it takes probes.

    Raises EngineError when it does not; its own words are on standard error.
    """
    ours, theirs = socket.socketpair()
    with ExitStack() as unless_started:
        unless_started.enter_context(ours)
        with theirs:
            process = await _spawn(theirs.fileno(), environment)
        link = WorkerLink(process, slots=settings.slots)
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
