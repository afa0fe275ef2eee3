"""Many probes at once in workers: their slots, cancelling, connections and memory."""

import asyncio
import os
from datetime import timedelta

import psutil
import pytest

from argos.core.probe import Probe, ProbeFailure, ProbeResponse
from tests.agent.engine.servers import OK, answering, read_request, wait_for_end
from tests.agent.engine.waiting import descriptors, until
from tests.agent.engine.zoo.behaviours import silent

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_five_hundred_probes_are_under_way_at_once(make_curl_engine, gate):
    engine = await make_curl_engine(slots=500)
    running = [asyncio.create_task(engine.probe(gate.probe)) for _ in range(500)]
    await until(lambda: gate.came == 500)

    gate.open()
    outcomes = await asyncio.gather(*running)

    assert {type(outcome) for outcome in outcomes} == {ProbeResponse}


async def test_more_probes_than_slots_wait_their_turn(make_curl_engine, gate):
    engine = await make_curl_engine(slots=10)
    running = [asyncio.create_task(engine.probe(gate.probe)) for _ in range(30)]
    await until(lambda: gate.came == 10)
    await asyncio.sleep(0.1)
    assert gate.came == 10

    gate.open()
    outcomes = await asyncio.gather(*running)

    assert gate.came == 30
    assert {type(outcome) for outcome in outcomes} == {ProbeResponse}


async def test_probes_are_shared_out_between_the_workers(make_curl_engine, gate):
    engine = await make_curl_engine(workers=2, slots=10)
    assert engine.capacity == 20
    running = [asyncio.create_task(engine.probe(gate.probe)) for _ in range(20)]
    await until(lambda: gate.came == 20)

    first, second = engine.pids
    assert abs(descriptors(first) - descriptors(second)) <= 1
    gate.open()
    await asyncio.gather(*running)


async def test_cancelled_probes_leave_nothing_behind(
    make_curl_engine, gate, healthy_ports
):
    engine = await make_curl_engine()
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


async def test_cancelled_probe_that_waits_for_a_slot_is_never_made(
    make_curl_engine, gate
):
    engine = await make_curl_engine(slots=1)
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
    make_curl_engine, gate, healthy_ports
):
    engine = await make_curl_engine(slots=1)
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
    make_curl_engine, healthy_ports, caplog
):
    engine = await make_curl_engine()
    healthy = Probe(f"http://127.0.0.1:{healthy_ports['http']}/")

    def stumble(_: object) -> None:
        raise ZeroDivisionError

    engine.begin(healthy, stumble)
    outcome = await engine.probe(healthy)

    assert isinstance(outcome, ProbeResponse)
    await until(lambda: "ZeroDivisionError" in caplog.text)


async def test_worker_forgets_what_is_too_much_and_learns_it_again(
    make_curl_engine, healthy_ports
):
    engine = await make_curl_engine(known_probes=2)
    probes = [Probe(f"http://127.0.0.1:{healthy_ports['http']}/{n}") for n in range(5)]

    for _ in range(3):
        outcomes = await asyncio.gather(*map(engine.probe, probes))
        assert {type(outcome) for outcome in outcomes} == {ProbeResponse}


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_connections_that_the_website_keeps_open_are_closed_by_us(
    make_curl_engine, servers, shop, scheme
):
    async def keep_open(reader, writer):
        await read_request(reader)
        writer.write(OK)
        await writer.drain()
        await wait_for_end(reader)

    tls = shop.context("good") if scheme == "https" else None
    url = f"{scheme}://127.0.0.1:{servers.serve(keep_open, tls=tls)}/"
    engine = await make_curl_engine()
    await engine.probe(Probe(url))
    (pid,) = engine.pids
    before = descriptors(pid)

    for _ in range(5):
        await asyncio.gather(*(engine.probe(Probe(url)) for _ in range(50)))

    await until(lambda: descriptors(pid) <= before)


async def test_memory_does_not_grow_with_the_number_of_probes(
    make_curl_engine, healthy_ports, servers
):
    engine = await make_curl_engine()
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


async def test_idle_worker_is_lean(make_curl_engine, healthy_ports):
    engine = await make_curl_engine()
    await engine.probe(Probe(f"https://localhost:{healthy_ports['https']}/"))

    (worker,) = map(psutil.Process, engine.pids)
    megabytes = worker.memory_info().rss / 2**20

    has_coverage = any(name.startswith("COV") for name in os.environ)
    # 28 with Python 3.11 on Linux; other builds of Python differ by a little.
    assert megabytes < (60 if has_coverage else 32)


async def test_big_bodies_arrive_whole_beside_each_other(make_curl_engine, servers):
    body = os.urandom(1_500_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    url = f"http://127.0.0.1:{servers.serve(answering(head + body))}/"
    engine = await make_curl_engine()

    outcomes = await asyncio.gather(*(engine.probe(Probe(url)) for _ in range(40)))

    assert all(
        isinstance(outcome, ProbeResponse) and outcome.body == body
        for outcome in outcomes
    )


async def test_silent_websites_do_not_hold_up_a_burst_of_handshakes(
    make_curl_engine, servers, healthy_ports
):
    engine = await make_curl_engine()
    stalled = Probe(
        f"https://127.0.0.1:{servers.serve(silent)}/", timeout=timedelta(seconds=2)
    )
    healthy = Probe(f"https://localhost:{healthy_ports['https']}/")

    outcomes = await asyncio.gather(
        *map(engine.probe, [stalled] * 100 + [healthy] * 100)
    )

    assert {type(outcome) for outcome in outcomes[:100]} == {ProbeFailure}
    assert {type(outcome) for outcome in outcomes[100:]} == {ProbeResponse}


async def test_the_agent_hears_how_long_probes_wait_for_their_turn(
    make_curl_engine, servers
):
    engine = await make_curl_engine()
    stalled = Probe(
        f"https://127.0.0.1:{servers.serve(silent)}/", timeout=timedelta(seconds=20)
    )
    break_offs = [engine.begin(stalled, lambda _: None) for _ in range(200)]

    await until(lambda: engine.queue_s > 0)

    await until(lambda: engine.queue_s == 0)
    for break_off in break_offs:
        break_off()
