"""Both pollers tell the same of the same sockets."""

import socket
import sys
from collections.abc import Iterator

import pytest

from argos.agent.engine import poller as pollers
from argos.agent.engine.poller import READ, WRITE, Poller, SelectorPoller, make_poller


@pytest.fixture(
    params=[
        SelectorPoller,
        pytest.param(
            getattr(pollers, "EpollPoller", None),
            marks=pytest.mark.skipif(
                sys.platform != "linux", reason="epoll is Linux's"
            ),
        ),
    ]
)
def poller(request) -> Iterator[Poller]:
    made = request.param()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_each_side_is_told_when_it_is_ready(poller, pair):
    ours, theirs = pair
    poller.watch(ours.fileno(), READ)
    poller.watch(theirs.fileno(), READ | WRITE)
    assert poller.poll(0) == [(theirs.fileno(), WRITE)]

    theirs.send(b"x")

    assert sorted(poller.poll(1)) == sorted([
        (ours.fileno(), READ),
        (theirs.fileno(), WRITE),
    ])


def test_mask_can_be_changed_and_given_up(poller, pair):
    ours, _ = pair
    poller.watch(ours.fileno(), WRITE)
    poller.watch(ours.fileno(), READ)
    assert poller.poll(0) == []

    poller.watch(ours.fileno(), WRITE)
    poller.watch(ours.fileno(), WRITE)
    assert poller.poll(0) == [(ours.fileno(), WRITE)]

    poller.watch(ours.fileno(), 0)
    poller.watch(ours.fileno(), 0)
    assert poller.poll(0) == []


def test_end_of_a_connection_is_something_to_read(poller, pair):
    ours, theirs = pair
    poller.watch(ours.fileno(), READ)

    theirs.close()

    assert poller.poll(1) == [(ours.fileno(), READ)]


def test_closed_descriptor_can_still_be_given_up(poller):
    ours, theirs = socket.socketpair()
    fd = ours.fileno()
    poller.watch(fd, READ)
    ours.close()
    theirs.close()

    poller.watch(fd, 0)

    assert poller.poll(0) == []


def test_machine_has_a_poller():
    poller = make_poller()

    assert poller.poll(0) == []
    poller.close()
