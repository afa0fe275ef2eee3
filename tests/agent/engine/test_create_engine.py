"""Which engine an agent gets."""

import asyncio
import subprocess
import sys

import pytest

from argos.agent.engine import EngineSettings, create_engine
from argos.agent.engine.httpx_engine import HttpxEngine
from argos.core.probe import Probe, ProbeFailure, ProbeResponse
from argos.errors import EngineError
from tests.agent.engine.zoo import silent
from tests.tree import ROOT


def test_engine_is_libcurl_where_there_is_one():
    assert create_engine(EngineSettings()).name == "curl"


@pytest.mark.parametrize("missing", ["pycurl", "pycares"])
def test_agent_without_a_library_probes_with_httpx_and_says_so(missing):
    program = f"""if True:
        import importlib.util, logging
        logging.basicConfig()
        find = importlib.util.find_spec
        importlib.util.find_spec = lambda name: None if name == {missing!r} else find(name)
        from argos.agent.engine import EngineSettings, create_engine
        print(create_engine(EngineSettings()).name)
    """

    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    assert result.stdout.strip() == "httpx2"
    assert f"not installed: {missing}" in result.stderr


async def test_httpx_engine_needs_its_trusted_roots():
    engine = HttpxEngine(EngineSettings(ca_file="/nowhere/ca.pem"))

    with pytest.raises(EngineError, match=r"at /nowhere/ca\.pem"):
        await engine.start()
    await engine.close()


async def test_httpx_engine_ends_what_is_running_when_it_is_closed(settings, servers):
    engine = HttpxEngine(settings)
    await engine.start()
    url = f"http://127.0.0.1:{servers.serve(silent)}/"
    running = [asyncio.create_task(engine.probe(Probe(url))) for _ in range(5)]
    await asyncio.sleep(0.1)

    await engine.close()

    for outcome in [*await asyncio.gather(*running), await engine.probe(Probe(url))]:
        assert isinstance(outcome, ProbeFailure)
        assert outcome.message == "The agent is stopping."


async def test_httpx_engine_looks_names_up_and_tries_the_next_address(
    settings, healthy_ports
):
    engine = HttpxEngine(settings)
    await engine.start()

    outcome = await engine.probe(Probe(f"http://localhost:{healthy_ports['http']}/"))

    await engine.close()
    assert isinstance(outcome, ProbeResponse)
    assert outcome.timings.dns_us is not None
