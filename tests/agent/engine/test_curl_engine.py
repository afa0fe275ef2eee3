"""Workers: many probes at once, and what happens when one of them ends."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import psutil
import pytest
import pytest_asyncio

from argos.agent.engine.curl_engine import CurlEngine
from argos.core.probe import FailureKind, Probe, ProbeFailure, ProbeResponse
from argos.errors import EngineError
from tests.agent.engine.servers import OK, answering, read_request, wait_for_end
from tests.agent.engine.zoo.behaviours import silent
from tests.tree import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 15.0
"""Seconds for what should take a fraction of one."""


@pytest_asyncio.fixture(loop_scope="module")
async def make_engine(settings) -> AsyncIterator[Callable[..., Awaitable[CurlEngine]]]:
    """Start engines that end with the test."""
    engines = []

    async def make_engine(**changes) -> CurlEngine:
        engine = CurlEngine(replace(settings, **changes), environment=os.environ)
        await engine.start()
        engines.append(engine)
        return engine

    yield make_engine
    for engine in engines:
        await engine.close()


async def until(holds) -> None:
    """Wait until something holds, with a limit."""
    async with asyncio.timeout(LIMIT):
        # What is waited for happens in other threads and processes.
        while not holds():  # noqa: ASYNC110  no event reaches us from there
            await asyncio.sleep(0.01)


@pytest.fixture
def gate(servers):
    """A website that answers when its gate is opened; counts who came."""

    class Gate:
        def __init__(self) -> None:
            self.came = 0
            self._opened = asyncio.Event()
            self.port = servers.serve(self.behave)

        @property
        def probe(self) -> Probe:
            return Probe(f"http://127.0.0.1:{self.port}/")

        async def behave(self, reader, writer):
            await read_request(reader)
            self.came += 1
            await self._opened.wait()
            writer.write(OK)
            await writer.drain()

        def open(self) -> None:
            servers.call(self._opened.set)

    return Gate()


def descriptors(pid: int) -> int:
    return psutil.Process(pid).num_fds()


async def test_five_hundred_probes_are_under_way_at_once(make_engine, gate):
    engine = await make_engine(slots=500)
    running = [asyncio.create_task(engine.probe(gate.probe)) for _ in range(500)]
    await until(lambda: gate.came == 500)

    gate.open()
    outcomes = await asyncio.gather(*running)

    assert {type(outcome) for outcome in outcomes} == {ProbeResponse}


async def test_more_probes_than_slots_wait_their_turn(make_engine, gate):
    engine = await make_engine(slots=10)
    running = [asyncio.create_task(engine.probe(gate.probe)) for _ in range(30)]
    await until(lambda: gate.came == 10)
    await asyncio.sleep(0.1)
    assert gate.came == 10

    gate.open()
    outcomes = await asyncio.gather(*running)

    assert gate.came == 30
    assert {type(outcome) for outcome in outcomes} == {ProbeResponse}


async def test_probes_are_shared_out_between_the_workers(make_engine, gate):
    engine = await make_engine(workers=2, slots=10)
    assert engine.capacity == 20
    running = [asyncio.create_task(engine.probe(gate.probe)) for _ in range(20)]
    await until(lambda: gate.came == 20)

    first, second = engine.pids
    assert abs(descriptors(first) - descriptors(second)) <= 1
    gate.open()
    await asyncio.gather(*running)


async def test_cancelled_probes_leave_nothing_behind(make_engine, gate, healthy_ports):
    engine = await make_engine()
    healthy = Probe(f"http://127.0.0.1:{healthy_ports['http']}/")
    await engine.probe(healthy)
    (pid,) = engine.pids
    before = descriptors(pid)
    running = [asyncio.create_task(engine.probe(gate.probe)) for _ in range(200)]
    await until(lambda: gate.came == 200)
    assert descriptors(pid) == before + 200

    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)

    await until(lambda: descriptors(pid) == before)
    assert isinstance(await engine.probe(healthy), ProbeResponse)
    gate.open()


async def test_cancelled_probe_that_waits_for_a_slot_is_never_made(make_engine, gate):
    engine = await make_engine(slots=1)
    first = asyncio.create_task(engine.probe(gate.probe))
    waiting = asyncio.create_task(engine.probe(gate.probe))
    last = asyncio.create_task(engine.probe(gate.probe))
    await until(lambda: gate.came == 1)

    waiting.cancel()
    gate.open()
    outcomes = await asyncio.gather(first, last)

    assert {type(outcome) for outcome in outcomes} == {ProbeResponse}
    assert gate.came == 2


async def test_broken_off_probe_has_no_outcome_and_may_be_broken_off_again(
    make_engine, gate, healthy_ports
):
    engine = await make_engine(slots=1)
    outcomes: list[object] = []
    break_off = engine.begin(gate.probe, outcomes.append)
    await until(lambda: gate.came == 1)

    break_off()
    break_off()
    healthy = await engine.probe(Probe(f"http://127.0.0.1:{healthy_ports['http']}/"))

    assert isinstance(healthy, ProbeResponse)
    assert outcomes == []
    gate.open()


async def test_who_stumbles_over_an_outcome_harms_nobody_else(
    make_engine, healthy_ports, caplog
):
    engine = await make_engine()
    healthy = Probe(f"http://127.0.0.1:{healthy_ports['http']}/")

    def stumble(_: object) -> None:
        raise ZeroDivisionError

    engine.begin(healthy, stumble)
    outcome = await engine.probe(healthy)

    assert isinstance(outcome, ProbeResponse)
    await until(lambda: "ZeroDivisionError" in caplog.text)


async def test_worker_forgets_what_is_too_much_and_learns_it_again(
    make_engine, healthy_ports
):
    engine = await make_engine(known_probes=2)
    probes = [Probe(f"http://127.0.0.1:{healthy_ports['http']}/{n}") for n in range(5)]

    for _ in range(3):
        outcomes = await asyncio.gather(*map(engine.probe, probes))
        assert {type(outcome) for outcome in outcomes} == {ProbeResponse}


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_connections_that_the_website_keeps_open_are_closed_by_us(
    make_engine, servers, shop, scheme
):
    async def keep_open(reader, writer):
        await read_request(reader)
        writer.write(OK)
        await writer.drain()
        await wait_for_end(reader)

    tls = shop.context("good") if scheme == "https" else None
    url = f"{scheme}://127.0.0.1:{servers.serve(keep_open, tls=tls)}/"
    engine = await make_engine()
    await engine.probe(Probe(url))
    (pid,) = engine.pids
    before = descriptors(pid)

    for _ in range(5):
        await asyncio.gather(*(engine.probe(Probe(url)) for _ in range(50)))

    await until(lambda: descriptors(pid) <= before)


async def test_memory_does_not_grow_with_the_number_of_probes(
    make_engine, healthy_ports, servers
):
    engine = await make_engine()
    probes = [
        Probe(f"https://localhost:{healthy_ports['https']}/"),
        Probe(f"http://localhost:{healthy_ports['http']}/"),
        Probe("http://nowhere.example/"),
        Probe("http://127.0.0.1:9/"),
    ] * 25
    (worker,) = map(psutil.Process, engine.pids)
    for _ in range(5):
        await asyncio.gather(*map(engine.probe, probes))
    before = worker.memory_info().rss

    for _ in range(20):
        await asyncio.gather(*map(engine.probe, probes))

    assert worker.memory_info().rss - before < 2_000_000


async def test_killed_workers_probes_are_made_again_by_another(make_engine, gate):
    engine = await make_engine()
    running = [asyncio.create_task(engine.probe(gate.probe)) for _ in range(50)]
    await until(lambda: gate.came == 50)
    (pid,) = engine.pids

    os.kill(pid, signal.SIGKILL)
    await until(lambda: gate.came == 100)
    gate.open()
    outcomes = await asyncio.gather(*running)

    assert {type(outcome) for outcome in outcomes} == {ProbeResponse}
    assert engine.restarts == 1
    assert pid not in engine.pids


async def test_probe_that_loses_two_workers_is_given_up(make_engine, gate):
    engine = await make_engine()
    running = asyncio.create_task(engine.probe(gate.probe))
    for came in (1, 2):
        await until(lambda came=came: gate.came == came)
        os.kill(engine.pids[0], signal.SIGKILL)

    outcome = await running

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.INTERNAL
    assert "twice in a row" in outcome.message
    gate.open()


async def test_other_worker_goes_on_when_one_is_killed(make_engine, gate):
    engine = await make_engine(workers=2)
    running = [asyncio.create_task(engine.probe(gate.probe)) for _ in range(20)]
    await until(lambda: gate.came == 20)
    first, second = engine.pids

    os.kill(first, signal.SIGKILL)
    await until(lambda: gate.came == 30)
    assert second in engine.pids
    gate.open()
    outcomes = await asyncio.gather(*running)

    assert {type(outcome) for outcome in outcomes} == {ProbeResponse}


async def test_stuck_worker_is_ended_and_replaced(make_engine, gate, healthy_ports):
    engine = await make_engine(slots=50)
    (pid,) = engine.pids
    overdue = asyncio.create_task(
        engine.probe(replace(gate.probe, timeout=timedelta(seconds=0.3)))
    )
    patient = asyncio.create_task(engine.probe(gate.probe))
    await until(lambda: gate.came == 2)

    os.kill(pid, signal.SIGSTOP)
    async with asyncio.timeout(LIMIT):
        outcome = await overdue
    gate.open()

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.INTERNAL
    assert outcome.message == "The probe worker did not answer."
    assert isinstance(await patient, ProbeResponse)
    assert pid not in engine.pids
    assert not psutil.pid_exists(pid)


async def test_agent_goes_on_while_no_worker_can_be_started(
    settings, healthy_ports, capfd
):
    environment = dict(os.environ)
    engine = CurlEngine(settings, environment=environment)
    await engine.start()
    healthy = Probe(f"http://127.0.0.1:{healthy_ports['http']}/")
    environment["PYTHONHOME"] = "/nowhere"
    os.kill(engine.pids[0], signal.SIGKILL)
    await until(lambda: not engine.pids)

    without = await engine.probe(replace(healthy, timeout=timedelta(seconds=0.5)))
    waiting = asyncio.create_task(engine.probe(healthy))
    del environment["PYTHONHOME"]
    outcome = await waiting

    await engine.close()
    assert isinstance(without, ProbeFailure)
    assert without.kind is FailureKind.INTERNAL
    assert without.message == "No probe worker is running."
    assert isinstance(outcome, ProbeResponse)
    assert "No module named 'encodings'" in capfd.readouterr().err


async def test_worker_that_does_not_react_is_ended_by_force(make_engine):
    engine = await make_engine()
    (pid,) = engine.pids
    os.kill(pid, signal.SIGSTOP)

    await engine.close()

    assert not psutil.pid_exists(pid)


async def test_worker_takes_no_notice_of_ctrl_c(make_engine, healthy_ports):
    engine = await make_engine()
    (pid,) = engine.pids

    os.kill(pid, signal.SIGINT)
    outcome = await engine.probe(Probe(f"http://127.0.0.1:{healthy_ports['http']}/"))

    assert isinstance(outcome, ProbeResponse)
    assert engine.pids == (pid,)


async def test_closing_ends_workers_and_what_they_have(make_engine, gate):
    engine = await make_engine(workers=2)
    pids = engine.pids
    running = [asyncio.create_task(engine.probe(gate.probe)) for _ in range(10)]
    await until(lambda: gate.came == 10)

    await engine.close()
    outcomes = await asyncio.gather(*running)

    for outcome in [*outcomes, await engine.probe(gate.probe)]:
        assert isinstance(outcome, ProbeFailure)
        assert outcome.kind is FailureKind.INTERNAL
        assert outcome.message == "The agent is stopping."
    assert not any(map(psutil.pid_exists, pids))
    gate.open()


async def test_closing_twice_or_before_the_start_does_no_harm(settings):
    engine = CurlEngine(settings, environment=os.environ)

    await engine.close()
    await engine.close()


async def test_worker_ends_with_its_agent():
    program = textwrap.dedent(
        """
        import asyncio, os, sys
        from argos.agent.engine.curl_engine import CurlEngine
        from argos.agent.engine.interface import EngineSettings

        async def main():
            engine = CurlEngine(EngineSettings(), environment=os.environ)
            await engine.start()
            print(engine.pids[0], flush=True)
            await asyncio.Event().wait()

        asyncio.run(main())
        """
    )
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert agent.stdout is not None
    worker = psutil.Process(int(await agent.stdout.readline()))

    agent.kill()
    await agent.wait()

    await asyncio.to_thread(worker.wait, LIMIT)


async def test_idle_worker_is_lean(make_engine, healthy_ports):
    engine = await make_engine()
    await engine.probe(Probe(f"https://localhost:{healthy_ports['https']}/"))

    (worker,) = map(psutil.Process, engine.pids)
    megabytes = worker.memory_info().rss / 2**20

    has_coverage = any(name.startswith("COV") for name in os.environ)
    # 28 with Python 3.11 on Linux; other builds of Python differ by a little.
    assert megabytes < (60 if has_coverage else 32)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"slots": 100_000_000}, "200000064 file descriptors"),
        ({"ca_file": "/nowhere/ca.pem"}, "no file of trusted roots at /nowhere/ca.pem"),
    ],
)
async def test_engine_that_cannot_work_says_so_at_its_start(settings, changes, says):
    engine = CurlEngine(replace(settings, **changes), environment=os.environ)

    with pytest.raises(EngineError, match=says):
        await engine.start()


async def test_worker_that_does_not_start_is_an_error(settings, capfd):
    broken = {**os.environ, "PYTHONHOME": "/nowhere"}
    engine = CurlEngine(replace(settings, workers=2), environment=broken)

    with pytest.raises(EngineError, match="did not start"):
        await engine.start()

    assert capfd.readouterr().err
    assert engine.pids == ()


async def test_big_bodies_arrive_whole_beside_each_other(make_engine, servers):
    body = os.urandom(1_500_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    url = f"http://127.0.0.1:{servers.serve(answering(head + body))}/"
    engine = await make_engine()

    outcomes = await asyncio.gather(*(engine.probe(Probe(url)) for _ in range(40)))

    assert all(
        isinstance(outcome, ProbeResponse) and outcome.body == body
        for outcome in outcomes
    )


async def test_silent_websites_do_not_hold_up_a_burst_of_handshakes(
    make_engine, servers, healthy_ports
):
    engine = await make_engine()
    stalled = Probe(
        f"https://127.0.0.1:{servers.serve(silent)}/", timeout=timedelta(seconds=2)
    )
    healthy = Probe(f"https://localhost:{healthy_ports['https']}/")

    outcomes = await asyncio.gather(
        *map(engine.probe, [stalled] * 100 + [healthy] * 100)
    )

    assert {type(outcome) for outcome in outcomes[:100]} == {ProbeFailure}
    assert {type(outcome) for outcome in outcomes[100:]} == {ProbeResponse}
