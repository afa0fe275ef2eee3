"""What a worker loads and is told, and on which loops its agent may run."""

import asyncio
import os
import subprocess
import sys

import uvloop

from argos.agent.engine.curl_engine import CurlEngine
from argos.agent.engine.interface import EngineSettings
from argos.agent.engine.link import worker_environment
from argos.core.probe import Probe, ProbeResponse
from tests.tree import ROOT


def test_worker_imports_nothing_that_it_does_not_need():
    program = (
        "import argos.agent.engine.worker, sys;"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )

    result = subprocess.run(
        [sys.executable, "-P", "-S", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )

    heavy = {"asyncio", "ssl", "pydantic", "httpx2", "email", "http", "sqlalchemy"}
    assert heavy.isdisjoint(result.stdout.split())


def test_worker_is_told_no_secrets():
    environment = worker_environment({
        "ARGOS_TOKEN": "secret",
        "PATH": "/bin",
        "PYTHONPATH": "/else",
        "DB": "secret",
    })

    assert "secret" not in environment.values()
    assert environment["PATH"] == "/bin"
    assert environment["PYTHONPATH"].split(os.pathsep)[1:] == ["/else"]


def test_engine_works_on_uvloop_too(settings, healthy_ports):
    async def main():
        engine = CurlEngine(settings, environment=os.environ)
        await engine.start()
        url = f"https://localhost:{healthy_ports['https']}/"
        outcomes = await asyncio.gather(*(engine.probe(Probe(url)) for _ in range(50)))
        await engine.close()
        return outcomes

    outcomes = uvloop.run(main())

    assert {type(outcome) for outcome in outcomes} == {ProbeResponse}


def test_settings_name_the_agent():
    settings = EngineSettings(user_agent_suffix=" example.org")

    assert settings.user_agent.startswith("Argos Panoptes ")
    assert settings.user_agent.endswith("(website monitor) example.org")
