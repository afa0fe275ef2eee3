"""The agent's loop, in virtual time: slots, mishaps of one group, time, memory."""

import asyncio
import gc
import itertools
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
from tests.agent.doubles import (
    Agent,
    MemoryEngine,
    MemoryServer,
    make_tasks,
    run_virtual,
    slow,
)
from tests.simulator.virtual_time import START, VirtualTimeLoop

DAY = timedelta(days=1)


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
