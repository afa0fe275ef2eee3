"""One probe worker by itself, kept busy over its pipe as an agent does it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.link import worker_environment
from argos.agent.engine.wire import (
    QUEUE,
    READY,
    RUN,
    FrameReader,
    outcome_from_item,
    pack,
    probe_to_item,
    settings_to_item,
)
from argos.core.probe import Probe

KEY = 1
CHUNK = 1 << 18


class BusyWorker:
    """A worker that has always so many probes under way."""

    def __init__(self, sock: socket.socket, pid: int) -> None:
        self.pid = pid
        self._sock = sock
        self._reader = FrameReader()
        self._number = 0

    def tell(self, *items: tuple[object, ...]) -> None:
        """Send items in a frame."""
        self._sock.sendall(pack(items))

    def start(self, count: int) -> None:
        """Begin so many probes."""
        numbers = range(self._number + 1, self._number + count + 1)
        self._number += count
        self.tell(*((RUN, number, KEY) for number in numbers))

    def receive(self) -> list[tuple[object, ...]]:
        """What the worker says next, but for how long its queue is."""
        said = self._reader.feed(self._sock.recv(CHUNK))
        return [item for item in said if item[0] != QUEUE]

    def run(self, seconds: float) -> int:
        """Begin a probe for each that ends, for so long; return how many ended."""
        done = 0
        ends_at = time.perf_counter() + seconds
        while time.perf_counter() < ends_at:
            ended = self.receive()
            self.start(len(ended))
            done += len(ended)
            _check(ended)
        return done


@contextmanager
def busy_worker(probe: Probe, *, ca_file: str, under_way: int) -> Iterator[BusyWorker]:
    """A worker with so many probes of the same website under way."""
    settings = EngineSettings(slots=under_way, ca_file=ca_file)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "argos.agent.engine.worker",
                str(theirs.fileno()),
            ],
            pass_fds=(theirs.fileno(),),
            env=worker_environment(os.environ),
        )
        theirs.close()
        worker = BusyWorker(ours, process.pid)
        worker.tell(settings_to_item(settings))
        [(said, _)] = worker.receive()
        assert said == READY
        worker.tell(probe_to_item(KEY, probe))
        worker.start(under_way)
        try:
            yield worker
        finally:
            ours.close()
            process.wait()


def _check(ended: list[tuple[object, ...]]) -> None:
    for item in ended:
        if 200 not in item:
            raise SystemExit(f"a check failed: {outcome_from_item(item)}")
