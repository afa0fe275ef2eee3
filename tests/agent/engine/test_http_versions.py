"""Which version of HTTP is offered, and which one is told to have come of it."""

import asyncio
from dataclasses import replace

import pycurl
import pytest

from argos.core.options import HTTPVersion, ProbeOptions
from argos.core.probe import FailureKind, Probe, ProbeFailure, ProbeResponse
from tests.agent.engine.h2 import ANSWER, END, PREFACE, data, speak, speaking
from tests.agent.engine.servers import OK, answering, read_request

pytestmark = pytest.mark.asyncio(loop_scope="module")


def offering(url: str, version: HTTPVersion) -> Probe:
    return Probe(url, options=ProbeOptions(http_version=version))


@pytest.fixture
def newer(servers, shop) -> str:
    """A website that prefers HTTP/2."""
    context = shop.context("good")
    context.set_alpn_protocols(["h2", "http/1.1"])

    async def behave(reader, writer):
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            await speak(reader, writer)
        else:
            await answering(OK)(reader, writer)

    return f"https://localhost:{servers.serve(behave, tls=context)}/"


@pytest.mark.parametrize(
    ("version", "came"),
    [
        (HTTPVersion.V1_1, "1.1"),
        (HTTPVersion.AUTO, "2"),
        (HTTPVersion.V2, "2"),
        (HTTPVersion.V2_PRIOR_KNOWLEDGE, "2"),
    ],
)
async def test_the_website_chooses_from_what_is_offered(
    curl_engine, newer, version, came
):
    outcome = await curl_engine.probe(offering(newer, version))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.http_version == came
    assert (outcome.status_code, outcome.body) == (200, b"ok")


@pytest.mark.parametrize("version", [HTTPVersion.AUTO, HTTPVersion.V2])
async def test_a_website_without_http_2_answers_over_1_1_and_that_is_told(
    curl_engine, healthy_ports, version
):
    for scheme, host in (("https", "localhost"), ("http", "127.0.0.1")):
        url = f"{scheme}://{host}:{healthy_ports[scheme]}/"

        outcome = await curl_engine.probe(offering(url, version))

        assert isinstance(outcome, ProbeResponse)
        assert outcome.http_version == "1.1"


async def test_prior_knowledge_speaks_http_2_over_plain_http(curl_engine, servers):
    url = f"http://127.0.0.1:{servers.serve(speak)}/"

    outcome = await curl_engine.probe(offering(url, HTTPVersion.V2_PRIOR_KNOWLEDGE))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.http_version == "2"


async def test_prior_knowledge_of_what_is_not_so_is_a_failure(curl_engine, servers):
    async def behave(reader, writer):
        assert (await read_request(reader))[:16] == PREFACE[:16]
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    url = f"http://127.0.0.1:{servers.serve(behave)}/"

    outcome = await curl_engine.probe(offering(url, HTTPVersion.V2_PRIOR_KNOWLEDGE))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.PROTOCOL


async def test_a_long_body_is_no_flood(curl_engine, servers):
    pieces = [data(b"x" * 16_384)] * 150

    async def behave(reader, writer):
        drain = writer.drain

        async def drain_slowly():
            await drain()
            await asyncio.sleep(0.005)

        writer.drain = drain_slowly
        await speaking(ANSWER, *pieces, END)(reader, writer)

    url = f"http://127.0.0.1:{servers.serve(behave)}/"
    probe = replace(
        offering(url, HTTPVersion.V2_PRIOR_KNOWLEDGE), max_body_bytes=4 * 1024 * 1024
    )

    outcome = await curl_engine.probe(probe)

    assert isinstance(outcome, ProbeResponse)
    assert len(outcome.body) == 150 * 16_384 + len(b"ok")


async def test_a_session_that_libcurl_ends_is_over_at_once(curl_engine, servers):
    # It notices its own end by chance: nine times in ten.
    before_any_headers = servers.serve(speaking(END))
    probe = offering(
        f"http://127.0.0.1:{before_any_headers}/", HTTPVersion.V2_PRIOR_KNOWLEDGE
    )

    outcomes = await asyncio.gather(*(curl_engine.probe(probe) for _ in range(60)))

    assert {outcome.kind for outcome in outcomes} == {FailureKind.PROTOCOL}


@pytest.mark.skipif(
    not pycurl.version_info()[4] & pycurl.VERSION_HTTP3, reason="libcurl without HTTP/3"
)
async def test_a_website_without_http_3_answers_over_another_version(
    curl_engine, newer, healthy_ports
):
    outcome = await curl_engine.probe(offering(newer, HTTPVersion.V3))

    assert isinstance(outcome, ProbeResponse)
    assert outcome.http_version == "2"


async def test_the_fallback_refuses_what_it_does_not_speak(httpx_engine, newer):
    outcome = await httpx_engine.probe(offering(newer, HTTPVersion.AUTO))

    assert isinstance(outcome, ProbeFailure)
    assert outcome.kind is FailureKind.INTERNAL
    assert "cannot serve the probe option http_version" in outcome.message
