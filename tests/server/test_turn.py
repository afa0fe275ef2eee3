"""Whose turn it is to write."""

import threading

import pytest

from argos.errors import DatabaseUnreachable
from argos.server.turn import WriteTurn


def wait_for(turn: WriteTurn, waiting: int) -> None:
    pause = threading.Event()
    while turn.waiting != waiting:
        pause.wait(0.001)


def test_who_waits_comes_before_who_just_had_it():
    turn = WriteTurn(patience_s=20)
    order: list[str] = []

    def write_once(name: str) -> None:
        with turn:
            order.append(name)

    others = []
    with turn:
        for place, name in enumerate(("second", "third"), 1):
            other = threading.Thread(target=write_once, args=(name,))
            others.append(other)
            other.start()
            wait_for(turn, place)
        order.append("first")
    with turn:
        order.append("first again")
    for other in others:
        other.join()

    assert order == ["first", "second", "third", "first again"]


def test_who_has_no_patience_leaves_the_queue():
    turn = WriteTurn(patience_s=0.01)

    with turn:
        with pytest.raises(DatabaseUnreachable), turn:
            pass
        assert turn.waiting == 0
    with turn:
        pass


def test_many_writers_never_write_at_once():
    turn = WriteTurn(patience_s=20)
    inside, most = 0, 0

    def write_often() -> None:
        nonlocal inside, most
        for _ in range(200):
            with turn:
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=write_often) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (most, inside, turn.waiting) == (1, 0, 0)
