"""The agent's loop and its server: waiting for work, a server that is away, stopping."""

import asyncio
import itertools
import logging
from collections.abc import Sequence

import pytest

from argos.errors import NotAnArgosServer, ServerError, ServerUnreachable, TokenRefused
from argos.protocol import HeldLease
from tests.agent.doubles import (
    Agent,
    MemoryEngine,
    MemoryServer,
    as_legacy,
    make_tasks,
    run_virtual,
    slow,
)
from tests.simulator.virtual_time import VirtualTimeLoop


def gaps(server: MemoryServer) -> list[float]:
    """The seconds between the agent's calls."""
    moments = [moment for moment, _ in server.requests]
    return [later - earlier for earlier, later in itertools.pairwise(moments)]


# Waiting for work


def test_a_server_of_ours_is_called_again_as_soon_as_it_has_waited() -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        await Agent(loop, server, MemoryEngine()).work(80.0)
        return server

    server = run_virtual(scenario)

    first, *others = gaps(server)
    assert first < 0.01
    assert others == pytest.approx([25, 25, 25])


def test_work_that_falls_due_during_the_wait_is_done_at_once() -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        loop.call_later(13.0, server.hand_out, make_tasks(1))
        await Agent(loop, server, MemoryEngine()).work(20.0)
        return server

    [(moment, _)] = run_virtual(scenario).reports

    assert 13.0 <= moment < 13.5


def test_a_server_that_does_not_wait_is_not_called_without_pause() -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)

        async def answer_at_once(seconds: float) -> None:  # noqa: RUF029  # no room to wait
            return

        server._wait = answer_at_once  # type: ignore[method-assign]  # it has no room
        await Agent(loop, server, MemoryEngine()).work(60.0)
        return server

    assert 60 <= len(run_virtual(scenario).requests) <= 130


def test_an_old_server_is_polled_at_the_wait_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop, is_legacy=True)
        await Agent(loop, server, MemoryEngine(), wait_s=10).work(35.0)
        return server

    with caplog.at_level(logging.INFO):
        server = run_virtual(scenario)

    assert gaps(server) == pytest.approx([10, 10, 10])
    assert "Got no tasks from the server." in caplog.messages
    assert "Waiting 10 seconds before next retry" in caplog.messages


def test_an_old_server_may_hand_out_one_group_too_many() -> None:
    async def scenario(loop: VirtualTimeLoop) -> tuple[MemoryServer, MemoryEngine]:
        server = MemoryServer(loop, is_legacy=True)
        server.hand_out(as_legacy(make_tasks(8)))
        engine = MemoryEngine(slow(0.9))
        await Agent(loop, server, engine, slots=3).work(10.0)
        return server, engine

    server, engine = run_virtual(scenario)

    assert engine.most_running == 3
    assert sorted(server.reported_ids) == list(range(8))
    assert {result.lease_no for result in server.results} == {None}


# A server that is away


@pytest.mark.parametrize(
    ("error", "longest_s"),
    [
        (ServerUnreachable("http://server.example cannot be reached: refused"), 10),
        (ServerError("502"), 10),
        (TokenRefused("the token"), 60),
        (NotAnArgosServer("http://x answers, but is not an Argos server"), 60),
        (RuntimeError("a bug of ours"), 10),
    ],
    ids=["away", "502", "token", "not Argos", "bug"],
)
def test_failed_calls_are_repeated_ever_more_slowly_for_ever(
    error: Exception, longest_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.lease_error = error
        await Agent(loop, server, MemoryEngine(), wait_s=10).work(1000.0)
        return server

    pauses = gaps(run_virtual(scenario))

    assert 0.5 <= pauses[0] <= 1.0
    assert all(longest_s / 2 <= pause <= longest_s for pause in pauses[7:])
    assert len(set(pauses)) == len(pauses), "without jitter agents come back together"
    assert str(error) in caplog.text


def test_a_server_that_names_a_time_is_left_alone_until_then() -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.lease_error = ServerError("busy", retry_after_s=44.0)
        await Agent(loop, server, MemoryEngine()).work(100.0)
        return server

    assert gaps(run_virtual(scenario)) == pytest.approx([44.0, 44.0])


def test_work_goes_on_when_the_server_is_back(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.lease_error = ServerUnreachable("http://server.example is away")
        server.hand_out(make_tasks(1))
        loop.call_later(100.0, setattr, server, "lease_error", None)
        await Agent(loop, server, MemoryEngine()).work(130.0)
        return server

    with caplog.at_level(logging.INFO):
        [(moment, _)] = run_virtual(scenario).reports

    assert 100.0 <= moment < 111.0
    assert "Failed to fetch tasks: http://server.example is away" in caplog.messages
    assert "Received 1 tasks from the server" in caplog.messages
    assert 'Successfully posted results {"result_ids": [0]}' in caplog.messages


# Stopping


def test_a_stop_hands_unfinished_leases_back_within_two_seconds() -> None:
    async def scenario(loop: VirtualTimeLoop) -> tuple[MemoryServer, float]:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(2, timeout_s=30.0))
        return server, await Agent(
            loop, server, MemoryEngine(slow(20.0)), slots=2
        ).work(5.0)

    server, duration = run_virtual(scenario)

    [(moment, leases)] = server.released
    assert 5.0 <= moment <= 7.0
    assert leases == [HeldLease(group_id=n, lease_no=1) for n in range(2)]
    assert duration < 2.5
    assert server.results == []


def test_a_stop_lets_probes_that_are_nearly_done_finish() -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(1))
        await Agent(loop, server, MemoryEngine(slow(5.5))).work(5.0)
        return server

    server = run_virtual(scenario)

    assert server.reported_ids == [0]
    assert server.released == []


def test_what_is_leased_in_the_moment_of_the_stop_is_handed_back() -> None:
    async def scenario(loop: VirtualTimeLoop) -> tuple[MemoryServer, MemoryEngine]:
        server, engine = MemoryServer(loop), MemoryEngine()
        server.lease_s = 0.3
        loop.call_later(4.9, server.hand_out, make_tasks(5))
        await Agent(loop, server, engine).work(5.0)
        return server, engine

    server, engine = run_virtual(scenario)

    assert engine.probed == []
    [(_, leases)] = server.released
    assert [lease.group_id for lease in leases] == list(range(5))


def test_a_stop_does_not_wait_for_a_server_that_hangs() -> None:
    async def scenario(loop: VirtualTimeLoop) -> float:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(1))
        agent = Agent(loop, server, MemoryEngine(slow(20.0)))

        async def hang(leases: Sequence[HeldLease]) -> None:
            await asyncio.sleep(1e6)

        server.release = hang  # type: ignore[method-assign]  # it hangs
        return await agent.work(5.0)

    assert run_virtual(scenario) < 2.5


def test_an_old_server_is_not_asked_to_take_leases_back() -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop, is_legacy=True)
        server.hand_out(as_legacy(make_tasks(2)))
        await Agent(loop, server, MemoryEngine(slow(20.0))).work(5.0)
        return server

    assert run_virtual(scenario).released == []
