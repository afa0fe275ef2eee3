"""Servers, certificates and engines for the tests of the engines."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace

import pytest
import pytest_asyncio

from argos.agent.engine.curl_engine import CurlEngine
from argos.agent.engine.httpx_engine import HttpxEngine
from argos.agent.engine.interface import EngineSettings, ProbeEngine
from tests.agent.engine.certificates import CertificateShop
from tests.agent.engine.name_server import NameServer
from tests.agent.engine.servers import OK, ServerThread, answering, server_thread
from tests.agent.engine.waiting import Gate


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> CertificateShop:
    return CertificateShop(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def servers() -> Iterator[ServerThread]:
    """A thread for servers; one test's servers stay for the others."""
    with server_thread() as thread:
        yield thread


@pytest.fixture(scope="session")
def healthy_ports(shop: CertificateShop) -> Iterator[dict[str, int]]:
    """Websites that are well, in a thread of their own."""
    with server_thread() as thread:
        yield {
            "http": thread.serve(answering(OK)),
            "https": thread.serve(answering(OK), tls=shop.context("good")),
        }


@pytest.fixture(scope="session")
def name_server(servers: ServerThread) -> NameServer:
    """The only name server that the tests' engines ask."""
    server = NameServer()
    server.port = servers.serve_datagrams(server)
    return server


@pytest.fixture(scope="session")
def settings(shop: CertificateShop, name_server: NameServer) -> EngineSettings:
    return EngineSettings(
        ca_file=shop.ca_file, name_servers=(f"127.0.0.1:{name_server.port}",)
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def curl_engine(settings: EngineSettings) -> AsyncIterator[CurlEngine]:
    engine = CurlEngine(settings, environment=os.environ)
    await engine.start()
    yield engine
    await engine.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def httpx_engine(settings: EngineSettings) -> AsyncIterator[HttpxEngine]:
    # It asks the system's name servers, and refuses to be told of others.
    engine = HttpxEngine(replace(settings, name_servers=()))
    await engine.start()
    yield engine
    await engine.close()


@pytest_asyncio.fixture(loop_scope="module")
async def make_engines(
    settings: EngineSettings,
) -> AsyncIterator[Callable[..., Awaitable[list[ProbeEngine]]]]:
    """Start one engine of each kind, with settings that differ; they end with the test."""
    engines: list[ProbeEngine] = []

    async def make_engines(**changes) -> list[ProbeEngine]:
        made: list[ProbeEngine] = [
            CurlEngine(replace(settings, **changes), environment=os.environ),
            HttpxEngine(replace(settings, **{"name_servers": (), **changes})),
        ]
        for engine in made:
            await engine.start()
            engines.append(engine)
        return made

    yield make_engines
    for engine in engines:
        await engine.close()


@pytest_asyncio.fixture(loop_scope="module")
async def make_curl_engine(
    settings: EngineSettings,
) -> AsyncIterator[Callable[..., Awaitable[CurlEngine]]]:
    """Start engines with settings that differ; they end with the test."""
    engines = []

    async def make_curl_engine(**changes) -> CurlEngine:
        engine = CurlEngine(replace(settings, **changes), environment=os.environ)
        await engine.start()
        engines.append(engine)
        return engine

    yield make_curl_engine
    for engine in engines:
        await engine.close()


@pytest.fixture(params=["curl", "httpx"])
def engine(request: pytest.FixtureRequest) -> ProbeEngine:
    """Each engine in turn."""
    engine: ProbeEngine = request.getfixturevalue(f"{request.param}_engine")
    return engine


@pytest.fixture
def gate(servers: ServerThread) -> Gate:
    """A website that answers when its gate is opened."""
    return Gate(servers)
