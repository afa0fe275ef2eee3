"""What the fallback engine does by itself."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from argos.agent.engine.httpx_engine import HttpxEngine
from argos.agent.engine.interface import EngineSettings
from argos.core.probe import FailureKind, Outcome, Probe, ProbeFailure, ProbeResponse
from argos.errors import EngineError
from tests.agent.engine.zoo.behaviours import silent

MakeEngine = Callable[..., Awaitable[HttpxEngine]]


@pytest_asyncio.fixture
async def make_engine(settings) -> AsyncIterator[MakeEngine]:
    """Start engines that end with the test."""
    engines = []

    async def make_engine(**more) -> HttpxEngine:
        engine = HttpxEngine(replace(settings, name_servers=()), **more)
        await engine.start()
        engines.append(engine)
        return engine

    yield make_engine
    for engine in engines:
        await engine.close()


def knowing(*addresses: str):
    """A resolver that knows these addresses of any name."""

    def look_up(_host, port, **_more):
        return [(0, 0, 0, "", (address, port)) for address in addresses]

    return look_up


def unknown(_host, _port, **_more):
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture
def ask(make_engine, healthy_ports):
    async def ask(look_up) -> Outcome:
        engine = await make_engine(look_up=look_up)
        url = f"http://named.example:{healthy_ports['http']}/"
        outcome: Outcome = await engine.probe(Probe(url))
        return outcome

    return ask


def failure(outcome: Outcome) -> tuple[FailureKind, str]:
    assert isinstance(outcome, ProbeFailure)
    return outcome.kind, outcome.message


async def test_name_is_looked_up_and_timed(ask):
    outcome = await ask(knowing("127.0.0.1"))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.timings.dns_us is not None
    assert outcome.remote_address == "127.0.0.1"


async def test_next_address_is_tried_when_the_first_refuses(ask):
    outcome = await ask(knowing("127.0.0.99", "127.0.0.1"))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.remote_address == "127.0.0.1"


async def test_unknown_name_is_a_failure_of_the_name(ask):
    kind, message = failure(await ask(unknown))

    assert kind is FailureKind.DNS
    assert message == (
        "The address of named.example was not found: Name or service not known."
    )


@pytest.mark.parametrize(
    ("address", "says"),
    [("169.254.169.254", "metadata"), ("fe80::1%eth0", "of one network card")],
)
async def test_name_is_judged_by_its_address(ask, address, says):
    kind, message = failure(await ask(knowing(address)))

    assert kind is FailureKind.REFUSED
    assert says in message


async def test_slow_name_ends_with_the_deadline(make_engine):
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_host, _port, **_more):
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(10)
        return []

    engine = await make_engine(look_up=slow)
    probe = Probe("http://named.example/", timeout=timedelta(seconds=0.2))

    kind, message = failure(await engine.probe(probe))

    gate.set()
    assert kind is FailureKind.TIMEOUT
    assert message == "The address of named.example was not found within 0.2 s."


async def test_more_probes_than_slots_wait_their_turn(settings, servers, healthy_ports):
    engine = HttpxEngine(EngineSettings(slots=1, ca_file=settings.ca_file))
    await engine.start()
    stalled = Probe(
        f"http://127.0.0.1:{servers.serve(silent)}/", timeout=timedelta(seconds=0.3)
    )
    healthy = Probe(f"http://127.0.0.1:{healthy_ports['http']}/")
    loop = asyncio.get_running_loop()
    began_at = loop.time()

    _, outcome = await asyncio.gather(engine.probe(stalled), engine.probe(healthy))

    waited = loop.time() - began_at
    await engine.close()
    assert engine.capacity == 1
    assert isinstance(outcome, ProbeResponse)
    assert waited >= 0.3
    assert (outcome.timings.total_us or 0) < waited * 1e6 - 200_000


async def test_trusted_roots_are_needed():
    engine = HttpxEngine(EngineSettings(ca_file="/nowhere/ca.pem"))

    with pytest.raises(EngineError, match=r"at /nowhere/ca\.pem"):
        await engine.start()
    await engine.close()


async def test_closing_ends_what_is_running(make_engine, servers):
    engine = await make_engine()
    url = f"http://127.0.0.1:{servers.serve(silent)}/"
    running = [asyncio.create_task(engine.probe(Probe(url))) for _ in range(5)]
    await asyncio.sleep(0.1)

    await engine.close()

    for outcome in [*await asyncio.gather(*running), await engine.probe(Probe(url))]:
        assert failure(outcome) == (FailureKind.INTERNAL, "The agent is stopping.")


async def test_cancelled_probe_is_cancelled(make_engine, servers, healthy_ports):
    engine = await make_engine()
    url = f"http://127.0.0.1:{servers.serve(silent)}/"
    running = asyncio.create_task(engine.probe(Probe(url)))
    await asyncio.sleep(0.1)

    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    healthy = Probe(f"http://127.0.0.1:{healthy_ports['http']}/")
    assert isinstance(await engine.probe(healthy), ProbeResponse)
