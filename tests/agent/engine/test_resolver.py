"""How long answers are remembered, failures above all."""

from collections.abc import Callable

import pytest

from argos.agent.engine.poller import make_poller
from argos.agent.engine.resolver import Resolution, Resolver
from argos.core.probe import IPVersion
from tests.agent.engine.name_server import NO_SUCH_NAME, Zone
from tests.hand_clock import HandClock


class ResolverLoop:
    """A resolver on a loop that turns for as long as an answer is owed."""

    def __init__(self, port: int) -> None:
        self.clock = HandClock()
        self._handlers: dict[int, Callable[[int, int], None]] = {}
        self._poller = make_poller()
        self.resolver = Resolver(
            self._watch, self.clock, name_servers=(f"127.0.0.1:{port}",)
        )

    def _watch(self, fd, mask, process) -> None:
        self._poller.watch(fd, mask)
        if mask:
            self._handlers[fd] = process
        else:
            self._handlers.pop(fd, None)

    @property
    def descriptors(self) -> int:
        return len(self._handlers)

    def ask(self, *names: str) -> list[Resolution]:
        answers: list[Resolution] = []
        for name in names:
            self.resolver.resolve(name, IPVersion.V4, answers.append)
        while len(answers) < len(names):
            for fd, ready in self._poller.poll(self.resolver.patience() or 0):
                self._handlers[fd](fd, ready)
            self.resolver.process_timeouts()
        return answers

    def close(self) -> None:
        self.resolver.close()
        self._poller.close()


@pytest.fixture
def loop(name_server):
    loop = ResolverLoop(name_server.port)
    yield loop
    loop.close()


def test_failure_is_remembered_for_a_short_while_only(loop, name_server):
    name = "new.example"
    name_server.zones[name] = Zone(code=NO_SUCH_NAME)
    (missing,) = loop.ask(name)
    name_server.zones[name] = Zone(("127.0.0.1",))

    (still_missing,) = loop.ask(name)
    loop.clock.seconds += 16
    (found,) = loop.ask(name)

    assert (
        missing
        == still_missing
        == Resolution(failure=f"The name {name} does not exist.")
    )
    assert found == Resolution(("127.0.0.1",))


def test_answer_is_forgotten_after_ten_minutes_whatever_it_says(loop, name_server):
    name = "moved.example"
    name_server.zones[name] = Zone(("127.0.0.1",), ttl=86_400)
    (before,) = loop.ask(name)
    name_server.zones[name] = Zone(("127.0.0.2",), ttl=86_400)

    (same,) = loop.ask(name)
    loop.clock.seconds += 601
    (after,) = loop.ask(name)

    assert before == same == Resolution(("127.0.0.1",))
    assert after == Resolution(("127.0.0.2",))


def test_old_channel_is_closed_once_it_owes_nothing(loop, name_server):
    name_server.zones["first.example"] = Zone(("127.0.0.1",))
    name_server.zones["second.example"] = Zone(("127.0.0.1",))
    loop.ask("first.example")
    for _ in range(20):
        loop.clock.seconds += 601
        loop.ask("second.example")
        loop.resolver.process_timeouts()

    assert loop.descriptors <= 1


def test_closed_resolver_watches_nothing(loop, name_server):
    name_server.zones["first.example"] = Zone(("127.0.0.1",))
    loop.ask("first.example")

    loop.resolver.close()

    assert loop.descriptors == 0


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..example"])
def test_name_that_cannot_be_asked_for_is_a_failure(loop, name):
    (answer,) = loop.ask(name)

    assert answer.addresses == ()
    assert answer.failure is not None
