"""The caps of a transfer."""

import pycurl
import pytest

from argos.agent.engine.outcome import Finish
from argos.agent.engine.request import prepare_request
from argos.agent.engine.target import Target
from argos.agent.engine.transfer import (
    MAX_PIECES,
    PIECES_PER_TURN,
    SMALL_BODY,
    Intake,
    Transfer,
)
from argos.clock import system_clock
from argos.core.probe import FailureKind, Probe, ProbeFailure

GO_ON, STOP = None, 0


def transfer_of(memory: Intake, *, cap: int = 100) -> Transfer:
    probe = Probe("https://example.org/", max_body_bytes=cap)
    target = Target(probe, prepare_request(probe, user_agent="x"))
    return Transfer(1, target, memory)


def test_body_is_taken_in_up_to_the_cap_and_no_further():
    transfer = transfer_of(Intake(1000), cap=5)

    assert transfer.on_body(b"abc") is GO_ON
    assert transfer.on_body(b"de") is GO_ON
    assert not transfer.is_body_cut
    assert transfer.on_body(b"f") == STOP
    assert transfer.is_body_cut
    assert transfer.body == b"abcde"


def test_no_body_is_wanted_when_the_cap_is_nothing():
    transfer = transfer_of(Intake(1000), cap=0)

    assert transfer.on_body(b"a") == STOP
    assert transfer.body == b""


def test_bodies_share_a_memory_and_give_it_back():
    memory = Intake(100)
    first, second = transfer_of(memory), transfer_of(memory)
    assert first.on_body(b"a" * 90) is GO_ON

    assert second.on_body(b"a" * 40) == STOP
    assert second.is_memory_full
    second.release()
    first.release()

    assert memory.used == 0
    assert transfer_of(memory).on_body(b"a" * 90) is GO_ON


def test_long_bodies_leave_room_for_short_ones():
    memory = Intake(10 * SMALL_BODY)
    for _ in range(5):
        assert transfer_of(memory, cap=10**9).on_body(b"a" * 2 * SMALL_BODY) is GO_ON

    long = transfer_of(memory, cap=10**9)
    assert long.on_body(b"a" * (SMALL_BODY + 1)) == STOP
    assert long.is_memory_full
    long.release()
    short = transfer_of(memory, cap=10**9)
    assert short.on_body(b"a" * SMALL_BODY) is GO_ON
    assert not short.is_memory_full
    assert short.on_body(b"a") == STOP
    assert short.is_memory_full


def test_body_of_many_pieces_pauses_until_the_next_turn():
    intake = Intake(10**9)
    transfer = transfer_of(intake, cap=10**9)
    for _ in range(PIECES_PER_TURN):
        assert transfer.on_body(b"a") is GO_ON

    assert transfer.on_body(b"b") == pycurl.WRITEFUNC_PAUSE
    assert intake.paused == [transfer]
    transfer.begin_turn()
    assert transfer.on_body(b"b") is GO_ON
    assert transfer.body == b"a" * PIECES_PER_TURN + b"b"


def test_body_of_too_many_pieces_is_cut():
    transfer = transfer_of(Intake(10**9), cap=10**9)
    answer = GO_ON
    while answer is GO_ON:
        transfer.begin_turn()
        answer = transfer.on_body(b"a")

    assert answer == STOP
    assert transfer.is_body_cut
    assert len(transfer.body) == MAX_PIECES + 1


def test_full_memory_is_our_own_trouble():
    transfer = transfer_of(Intake(10))
    transfer.on_body(b"a" * 20)
    with pycurl.Curl() as curl:
        finish = Finish(
            transfer,
            curl,
            23,
            "",
            clock=system_clock,
            timing_error_us=0,
        )

        outcome = finish.outcome()

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.INTERNAL
    assert "memory" in outcome.message


@pytest.mark.parametrize(
    ("wanted", "found", "verdict"),
    [
        ("192.0.2.1", "192.0.2.1", pycurl.PREREQFUNC_OK),
        ("192.0.2.1", "192.0.2.2", pycurl.PREREQFUNC_ABORT),
        ("::ffff:102:304", "::ffff:1.2.3.4", pycurl.PREREQFUNC_OK),
        ("::1", "::2", pycurl.PREREQFUNC_ABORT),
    ],
)
def test_nothing_is_sent_to_another_address_than_the_one_judged(wanted, found, verdict):
    transfer = transfer_of(Intake(10))
    transfer.address = wanted

    assert transfer.on_connected(found, "127.0.0.1", 80, 50000) == verdict
