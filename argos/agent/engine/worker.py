"""A probe worker: a process of its own, started by the engine of an agent.

It must stay lean (no asyncio, pydantic or web libraries), and knows nothing but what
comes through its socket; with the agent gone, the socket closes, and it ends.
"""

import ctypes
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial

from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.loop import ProbeLoop, Rhythm
from argos.agent.engine.pipe import Pipe
from argos.agent.engine.poller import make_poller
from argos.agent.engine.wire import READY, settings_from_item
from argos.clock import system_clock

GC_THRESHOLDS = (20_000, 20, 20)
STUCK_AFTER = 60
"""Seconds without a turn of the loop after which a worker ends itself, agent or no."""


def main(fd: int) -> None:
    """Serve the agent at the other end of this descriptor."""
    # Ctrl-C reaches the whole group of processes; the agent decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _raise_descriptor_limit()
    sock = socket.socket(fileno=fd)
    pipe = Pipe(sock)
    settings = _receive_settings(sock, pipe)
    if settings is None:
        return
    loop = ProbeLoop(
        pipe,
        settings,
        clock=system_clock,
        poller=make_poller(),
        rhythm=Rhythm(
            heartbeat=partial(signal.alarm, STUCK_AFTER),
            when_idle=find_memory_trimmer(),
        ),
    )
    pipe.put((READY, os.getpid()), size=0)
    # What is loaded by now stays; collecting it again and again would be stalls. What
    # comes later ends without the collector.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    loop.run()


def _receive_settings(sock: socket.socket, pipe: Pipe) -> EngineSettings | None:
    sock.setblocking(True)
    items: list[tuple[object, ...]] = []
    while not items and pipe.is_open:
        items = pipe.receive()
    sock.setblocking(False)
    return settings_from_item(items[0]) if items else None


def find_memory_trimmer() -> Callable[[], object]:
    """What gives the memory of a burst back to the system; glibc keeps it unasked."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return bool if trim is None else partial(trim, 0)


def _raise_descriptor_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main(int(sys.argv[1]))
