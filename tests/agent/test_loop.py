"""The agent's loop, in virtual time, between a server and an engine in memory."""

import asyncio
import gc
import itertools
import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import pytest

from argos.agent.engine.interface import BreakOff, WhenDone
from argos.agent.reporter import ENOUGH_RESULTS
from argos.agent.roster import Assignment
from argos.core.probe import (
    Certificate,
    FailureKind,
    Outcome,
    Probe,
    ProbeFailure,
    ProbeResponse,
    Timings,
)
from argos.core.severity import Status
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
from tests.simulator.virtual_time import START, VirtualTimeLoop

DAY = timedelta(days=1)


def gaps(server: MemoryServer) -> list[float]:
    """The seconds between the agent's calls."""
    moments = [moment for moment, _ in server.requests]
    return [later - earlier for earlier, later in itertools.pairwise(moments)]


# Keeping slots full


def test_slots_are_kept_full_and_never_overfull() -> None:
    async def scenario(loop: VirtualTimeLoop) -> tuple[MemoryServer, MemoryEngine]:
        server, engine = MemoryServer(loop), MemoryEngine(slow(1.0))
        server.hand_out(make_tasks(1000))
        await Agent(loop, server, engine, slots=100).work(11.0)
        return server, engine

    server, engine = run_virtual(scenario)

    assert engine.most_running == 100
    assert sorted(server.reported_ids) == list(range(1000))
    last = max(moment for moment, _ in server.reports)
    assert last < 10 * 1.1 + 0.5


def test_each_call_asks_for_as_many_groups_as_slots_are_free() -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(30))
        await Agent(loop, server, MemoryEngine(slow(60.0)), slots=40).work(2.0)
        return server

    server = run_virtual(scenario)

    asked = [(request.limit, request.busy) for _, request in server.requests]
    assert asked == [(40, 0), (10, 30)]
    assert [request.wait_s for _, request in server.requests] == [0, 25]
    assert {request.slots for _, request in server.requests} == {40}
    assert {request.capabilities for _, request in server.requests} == {("ipv6",)}


def test_a_slow_target_holds_up_nobody() -> None:
    async def probe(probe: Probe) -> Outcome:
        if "site0." in probe.url:
            await asyncio.sleep(29.0)
        return ProbeResponse(status_code=200)

    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(3))
        await Agent(loop, server, MemoryEngine(probe), slots=3).work(40.0)
        return server

    server = run_virtual(scenario)

    arrivals = {
        result.task_id: moment for moment, report in server.reports for result in report
    }
    assert arrivals[1] == arrivals[2] < 0.5
    assert 29.0 <= arrivals[0] < 29.5


def test_freed_slots_are_filled_in_portions_while_the_server_is_pressing() -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(2000))
        durations = itertools.cycle([0.1, 0.11, 0.12, 0.13, 0.14, 0.15])

        async def probe(_: Probe) -> Outcome:
            await asyncio.sleep(next(durations))
            return ProbeResponse(status_code=200)

        await Agent(loop, server, MemoryEngine(probe), slots=100).work(3.0)
        return server

    server = run_virtual(scenario)

    assert len(server.results) == 2000
    # One call for each group would make 2,000 of them.
    assert len(server.requests) < 150


def test_a_timeout_under_our_own_stall_is_probed_again_before_it_counts() -> None:
    stalled = Timings(total_us=5_000_000, timing_error_us=400_000)
    outcomes: list[Outcome] = [
        ProbeFailure(FailureKind.TIMEOUT, "No answer came within 5 s.", stalled),
        ProbeResponse(status_code=200),
    ]

    async def probe(_: Probe) -> Outcome:
        await asyncio.sleep(5.0)
        return outcomes.pop(0)

    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(1, timeout_s=5.0))
        await Agent(loop, server, MemoryEngine(probe)).work(20.0)
        return server

    [result] = run_virtual(scenario).results

    assert result.status is Status.SUCCESS
    assert result.elapsed_us == 10_000_000


def test_websites_that_hang_take_no_slots_from_those_that_answer() -> None:
    async def probe(probe: Probe) -> Outcome:
        hangs = int(probe.url[len("http://site") :].partition(".")[0]) < 20
        await asyncio.sleep(29.0 if hangs else 0.1)
        return ProbeResponse(status_code=200)

    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(40))
        await Agent(loop, server, MemoryEngine(probe), slots=10).work(40.0)
        return server

    server = run_virtual(scenario)

    arrivals = {
        result.task_id: moment for moment, report in server.reports for result in report
    }
    assert sorted(arrivals) == list(range(40))
    # Two rounds of ten that hang, a second each, come before them.
    assert max(arrivals[n] for n in range(20, 40)) < 3.0


def test_a_group_leased_ahead_begins_at_its_moment() -> None:
    begun = []

    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        async def probe(_: Probe) -> Outcome:
            begun.append(loop.time())
            await asyncio.sleep(0.25)
            return ProbeResponse(status_code=200)

        server = MemoryServer(loop)
        for place, due_in_s in enumerate([0.75, 0.25, 0.0]):
            server.hand_out(make_tasks(1, first=place, due_in_s=due_in_s))
        await Agent(loop, server, MemoryEngine(probe)).work(5.0)
        return server

    server = run_virtual(scenario)

    assert begun == pytest.approx([0.0, 0.25, 0.75], abs=0.001)
    assert {result.task_id: result.elapsed_us for result in server.results} == {
        0: pytest.approx(1_000_000, abs=1000),
        1: pytest.approx(500_000, abs=1000),
        2: pytest.approx(250_000, abs=1000),
    }


def test_a_group_leased_ahead_is_handed_back_by_an_agent_that_stops() -> None:
    async def scenario(loop: VirtualTimeLoop) -> tuple[MemoryServer, MemoryEngine]:
        server, engine = MemoryServer(loop), MemoryEngine()
        server.hand_out(make_tasks(2, due_in_s=0.75))
        await Agent(loop, server, engine).work(0.5)
        return server, engine

    server, engine = run_virtual(scenario)

    [(_, released)] = server.released
    assert sorted(lease.group_id for lease in released) == [0, 1]
    assert engine.probed == []


def test_no_more_is_asked_for_than_can_be_begun() -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(500, due_in_s=0.9))
        await Agent(loop, server, MemoryEngine(), slots=10).work(0.5)
        return server

    requests = [request for _, request in run_virtual(scenario).requests]

    assert [request.limit for request in requests] == [10]
    assert {request.ahead_s for request in requests} == {1.0}


def test_nothing_is_leased_that_cannot_be_reported() -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.report_s = 5.0
        server.hand_out(make_tasks(30_000))
        await Agent(loop, server, MemoryEngine(), slots=1000).work(60.0)
        return server

    server = run_virtual(scenario)

    assert len(server.results) > 20_000
    leased = 30_000 - len(server.due)
    assert leased - len(server.results) < ENOUGH_RESULTS + 2_000


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


# What goes wrong with one group


def test_an_engine_that_raises_costs_one_group_only() -> None:
    async def probe(probe: Probe) -> Outcome:  # noqa: RUF029  # an engine is async
        if "site1." in probe.url:
            raise ZeroDivisionError("a bug")
        return ProbeResponse(status_code=200)

    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(3))
        await Agent(loop, server, MemoryEngine(probe)).work(5.0)
        return server

    results = {result.task_id: result for result in run_virtual(scenario).results}

    assert [results[n].status for n in range(3)] == [
        Status.SUCCESS,
        Status.ERROR,
        Status.SUCCESS,
    ]
    assert results[1].context["error_type"] == FailureKind.INTERNAL
    assert "ZeroDivisionError" in results[1].context["error_message"]


def test_an_engine_that_hangs_is_given_up_after_the_deadline() -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(1, timeout_s=10.0))
        await Agent(loop, server, MemoryEngine(slow(1e6)), slots=1).work(60.0)
        return server

    [(moment, [result])] = run_virtual(scenario).reports

    assert 15.0 <= moment < 15.5
    assert result.status is Status.ERROR
    assert result.context["error_type"] == FailureKind.INTERNAL


def test_an_unknown_check_is_an_error_of_its_task() -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(1, check="no-such-check"))
        server.hand_out(make_tasks(1, first=1))
        await Agent(loop, server, MemoryEngine()).work(5.0)
        return server

    results = {
        result.task_id: result.status for result in run_virtual(scenario).results
    }

    assert results == {0: Status.ERROR, 1: Status.SUCCESS}


def test_an_unreachable_target_is_a_failure() -> None:
    async def probe(_: Probe) -> Outcome:  # noqa: RUF029  # an engine is async
        return ProbeFailure(FailureKind.CONNECT, "Refused.", Timings(total_us=12))

    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(1))
        await Agent(loop, server, MemoryEngine(probe)).work(5.0)
        return server

    [result] = run_virtual(scenario).results

    assert result.status is Status.FAILURE
    assert result.timings is not None
    assert result.timings.total_us == 12


# Time


def test_a_result_tells_the_time_since_its_lease_whatever_the_clock_says() -> None:
    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(2))
        agent = Agent(
            loop, server, MemoryEngine(slow(2.0)), slots=1, clock_offset=9999 * DAY
        )
        await agent.work(10.0)
        return server

    first, second = run_virtual(scenario).results

    assert (first.leased_at, first.lease_no) == (START, 1)
    assert first.elapsed_us == pytest.approx(2_000_000, abs=10)
    assert second.elapsed_us == pytest.approx(2_000_000, abs=10)


def test_a_certificate_is_judged_by_the_servers_clock() -> None:
    certificate = Certificate(START - DAY, START + 30.5 * DAY, "CN=site", "CN=ca")

    async def probe(_: Probe) -> Outcome:  # noqa: RUF029  # an engine is async
        return ProbeResponse(status_code=200, certificate=certificate)

    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(
            make_tasks(
                1, check="ssl-certificate-expiration", url="https://site.example/"
            )
        )
        agent = Agent(loop, server, MemoryEngine(probe), clock_offset=365 * DAY)
        await agent.work(5.0)
        return server

    [result] = run_virtual(scenario).results

    assert result.context["expires_in"] == 30


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


class Remembering(MemoryEngine):
    """Whoever may break a probe off holds who waits for it, as in the real ones."""

    def begin(self, probe: Probe, done: WhenDone) -> BreakOff:
        return partial(_break_off, super().begin(probe, done), done)


def _break_off(break_off: BreakOff, _done: WhenDone) -> None:
    break_off()


def test_what_a_probe_needed_is_freed_with_it() -> None:
    """Garbage in circles would wait for a collection, which is rare in an agent."""

    async def scenario(loop: VirtualTimeLoop) -> int:
        server, engine = MemoryServer(loop), Remembering(slow(1.0))
        server.hand_out(make_tasks(300))
        agent = Agent(loop, server, engine, slots=100)
        working = asyncio.create_task(agent.work(20.0))
        await asyncio.sleep(10.0)
        left = sum(isinstance(each, Assignment) for each in gc.get_objects())
        await working
        return left

    gc.collect()
    gc.disable()
    try:
        left = run_virtual(scenario)
    finally:
        gc.enable()

    assert left == 0
