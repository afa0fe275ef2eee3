"""Workers that are lost, stuck or in the way, and what becomes of their probes."""

import asyncio
import os
import signal
import sys
import textwrap
from dataclasses import replace
from datetime import timedelta

import psutil
import pytest

from argos.agent.engine.curl_engine import CurlEngine
from argos.core.probe import FailureKind, Probe, ProbeFailure, ProbeResponse
from argos.errors import EngineError
from tests.agent.engine.waiting import LIMIT, until
from tests.tree import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_killed_workers_probes_are_made_again_by_another(make_curl_engine, gate):
    engine = await make_curl_engine()
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


async def test_probe_that_loses_two_workers_is_given_up(make_curl_engine, gate):
    engine = await make_curl_engine()
    running = asyncio.create_task(engine.probe(gate.probe))
    for came in (1, 2):
        # Over before the next turn.
        await until(lambda: gate.came == came)  # noqa: B023
        os.kill(engine.pids[0], signal.SIGKILL)

    outcome = await running

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.INTERNAL
    assert "twice in a row" in outcome.message
    gate.open()


async def test_other_worker_goes_on_when_one_is_killed(make_curl_engine, gate):
    engine = await make_curl_engine(workers=2)
    running = [asyncio.create_task(engine.probe(gate.probe)) for _ in range(20)]
    await until(lambda: gate.came == 20)
    first, second = engine.pids

    os.kill(first, signal.SIGKILL)
    await until(lambda: gate.came == 30)
    assert second in engine.pids
    gate.open()
    outcomes = await asyncio.gather(*running)

    assert {type(outcome) for outcome in outcomes} == {ProbeResponse}


async def test_stuck_worker_is_ended_and_replaced(
    make_curl_engine, gate, healthy_ports
):
    engine = await make_curl_engine(slots=50)
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


async def test_worker_that_does_not_react_is_ended_by_force(make_curl_engine):
    engine = await make_curl_engine()
    (pid,) = engine.pids
    os.kill(pid, signal.SIGSTOP)

    await engine.close()

    assert not psutil.pid_exists(pid)


async def test_worker_takes_no_notice_of_ctrl_c(make_curl_engine, healthy_ports):
    engine = await make_curl_engine()
    (pid,) = engine.pids

    os.kill(pid, signal.SIGINT)
    outcome = await engine.probe(Probe(f"http://127.0.0.1:{healthy_ports['http']}/"))

    assert isinstance(outcome, ProbeResponse)
    assert engine.pids == (pid,)


async def test_closing_ends_workers_and_what_they_have(make_curl_engine, gate):
    engine = await make_curl_engine(workers=2)
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
