"""Eight connections do everything at once, and the database's story is still true."""

import logging
from collections.abc import Callable

import pytest

from tests.server.store.audit import faults
from tests.server.store.conftest import CONNECTIONS
from tests.server.store.world import Player, World

ROUNDS = 60
ENOUGH = {
    "lease": 50,
    "report": 100,
    "report_again": 30,
    "hand_back": 10,
    "reload": 10,
    "keep_house": 10,
    "dispatch": 30,
}


def play_at_once(world: World, *, rounds: int = ROUNDS, seed: int = 0) -> None:
    """Let eight players do random things in threads of their own; then settle."""
    players = [
        Player(world, f"player{n}", seed=seed * 100 + n) for n in range(CONNECTIONS)
    ]
    world.play(players, rounds=rounds, seed=seed, at_once=True)
    world.settle()


@pytest.mark.timeout(180)
def test_eight_connections_at_once_lose_double_and_mix_up_nothing(
    make_world: Callable[[], World], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "argos")
    world = make_world()

    play_at_once(world)

    book = world.book
    assert faults(world) == []
    assert [record for record in caplog.records if record.exc_info] == []
    assert {
        name: book.done.get(name, 0) >= least for name, least in ENOUGH.items()
    } == dict.fromkeys(ENOUGH, True), book.done
    assert len(book.accepted) > 100
    assert sum(one.is_late for one in book.accepted.values()) > 10
    assert len(book.sent) > 5
