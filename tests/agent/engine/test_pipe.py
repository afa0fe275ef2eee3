"""The worker's end of the socket: never waits, loses nothing."""

import socket
from collections.abc import Iterator

import pytest

from argos.agent.engine.pipe import COMPANY_WAIT, ENOUGH, Pipe
from argos.agent.engine.poller import READ, WRITE
from argos.agent.engine.wire import FrameReader, Item, pack


@pytest.fixture
def pair() -> Iterator[tuple[Pipe, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    pipe = Pipe(theirs)
    with ours:
        yield pipe, ours
    pipe.close()


def test_items_arrive_in_order(pair):
    pipe, agent = pair
    for number in range(3):
        pipe.put((number,), size=1)
    pipe.flush()

    assert FrameReader().feed(agent.recv(1000)) == [(0,), (1,), (2,)]
    assert pipe.wants == READ


def test_few_items_wait_for_company_but_not_for_long(pair):
    pipe, agent = pair
    agent.setblocking(False)
    pipe.put((1,), size=1)
    pipe.flush_due(100.0)
    assert pipe.patience(100.0) == pytest.approx(COMPANY_WAIT)
    pipe.put((2,), size=1)
    pipe.flush_due(100.0 + COMPANY_WAIT / 2)

    with pytest.raises(BlockingIOError):
        agent.recv(1000)
    pipe.flush_due(100.0 + COMPANY_WAIT)

    assert FrameReader().feed(agent.recv(1000)) == [(1,), (2,)]
    assert pipe.patience(101.0) is None


def test_many_items_wait_for_nobody(pair):
    pipe, agent = pair
    for number in range(ENOUGH):
        pipe.put((number,), size=1)
    pipe.flush_due(100.0)

    assert len(FrameReader().feed(agent.recv(1000))) == ENOUGH
    assert pipe.patience(100.0) is None


def test_items_wait_for_none_while_the_agent_is_slow(pair):
    pipe, agent = pair
    pipe.put((b"x" * 2_000_000,), size=2_000_000)
    pipe.flush()
    pipe.put((1,), size=1)

    pipe.flush_due(100.0)

    assert pipe.patience(100.0) is None
    reader = FrameReader()
    received: list[Item] = []
    while len(received) < 2:
        received += reader.feed(agent.recv(1_000_000))
        pipe.flush_due(100.0)
    assert received[1] == (1,)


def test_nothing_to_read_is_nothing(pair):
    pipe, _ = pair

    assert pipe.receive() == []
    assert pipe.is_open


def test_what_the_agent_sends_is_received(pair):
    pipe, agent = pair
    agent.sendall(pack([(1, b"x")]))

    assert pipe.receive() == [(1, b"x")]


def test_slow_agent_gets_everything_in_the_end(pair):
    pipe, agent = pair
    bodies = [bytes([number]) * 2_000_000 for number in range(5)]
    for body in bodies:
        pipe.put((body,), size=len(body))
    pipe.flush()
    assert pipe.backlog > 1_000_000
    assert pipe.wants == READ | WRITE

    reader = FrameReader()
    received: list[Item] = []
    while len(received) < 5:
        received += reader.feed(agent.recv(1_000_000))
        pipe.flush()

    assert [body for (body,) in received] == bodies
    assert pipe.backlog == 0
    assert pipe.wants == READ


def test_agent_that_is_gone_closes_the_pipe(pair):
    pipe, agent = pair
    agent.close()

    assert pipe.receive() == []
    assert not pipe.is_open


def test_agent_that_is_gone_while_it_is_sent_to_closes_the_pipe(pair):
    pipe, agent = pair
    agent.close()
    pipe.put((1,), size=1)

    pipe.flush()

    assert not pipe.is_open
