"""The loop of a worker, here in a thread of the test."""

import socket
import threading
from collections.abc import Iterator

import pytest

from argos.agent.engine.loop import ProbeLoop, Rhythm
from argos.agent.engine.pipe import Pipe
from argos.agent.engine.poller import Poller, SelectorPoller, make_poller
from argos.agent.engine.wire import (
    RUN,
    FrameReader,
    outcome_from_item,
    pack,
    probe_to_item,
)
from argos.agent.engine.worker import find_memory_trimmer
from argos.clock import system_clock
from argos.core.probe import Outcome, Probe, ProbeResponse

LIMIT = 10.0


class LoopThread:
    """A loop, its agent's end of the pipe, and what it did beside its work."""

    def __init__(self, settings, poller: Poller) -> None:
        self.agent, theirs = socket.socketpair()
        self.agent.settimeout(LIMIT)
        self.has_idled = threading.Event()
        rhythm = Rhythm(
            heartbeat=threading.Event().set,
            when_idle=self.has_idled.set,
            idle_interval=0.05,
        )
        self._pipe = Pipe(theirs)
        loop = ProbeLoop(
            self._pipe, settings, clock=system_clock, poller=poller, rhythm=rhythm
        )
        self._thread = threading.Thread(target=loop.run)
        self._thread.start()

    def probe(self, probe: Probe) -> Outcome:
        self.agent.sendall(pack([probe_to_item(1, probe), (RUN, 7, 1)]))
        reader = FrameReader()
        while True:
            for item in reader.feed(self.agent.recv(65536)):
                return outcome_from_item(item)

    def close(self) -> None:
        self.agent.close()
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()
        self._pipe.close()


@pytest.fixture(params=[SelectorPoller, make_poller])
def loop(request, settings) -> Iterator[LoopThread]:
    loop = LoopThread(settings, request.param())
    yield loop
    loop.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_probe_is_made_on_any_poller(loop, healthy_ports, scheme):
    outcome = loop.probe(Probe(f"{scheme}://localhost:{healthy_ports[scheme]}/"))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.body == b"ok"


def test_loop_rests_once_after_its_work(loop, healthy_ports):
    loop.probe(Probe(f"http://localhost:{healthy_ports['http']}/"))

    assert loop.has_idled.wait(LIMIT)
    loop.has_idled.clear()
    # Four more idle intervals, without work in between.
    assert not loop.has_idled.wait(0.2)


def test_memory_can_be_given_back():
    assert find_memory_trimmer()() in {0, 1}
