"""Handles of libcurl that are used again: no answer leaves anything to the next one."""

import pytest

from argos.core.probe import Probe, ProbeFailure, ProbeResponse
from tests.agent.engine.servers import OK, read_request

pytestmark = pytest.mark.asyncio(loop_scope="module")

EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
BROKEN_OFF = [
    b"",
    b"HTT",
    b"HTTP/1.1 200 O",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\nServer: x\r\n ",
    EARLY_HINTS,
    EARLY_HINTS + b"HTT",
    EARLY_HINTS + b"HTTP/1.1 200 OK\r\nServer: x",
    EARLY_HINTS + b"HTTP/1.1 200 OK\r\nServer: x\r\n ",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: ",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: b\r\n ",
]


@pytest.mark.parametrize("broken", BROKEN_OFF)
async def test_what_broke_off_does_not_spoil_the_next_answer(
    make_curl_engine, servers, shop, broken
):
    answers = iter([broken, OK, broken, OK])

    async def in_turn(reader, writer):
        await read_request(reader)
        writer.write(next(answers))
        await writer.drain()

    port = servers.serve(in_turn, tls=shop.context("good"))
    # One handle, over https, for plain http goes without libcurl.
    engine = await make_curl_engine(slots=1)
    outcomes = [await engine.probe(Probe(f"https://localhost:{port}/")) for _ in "1234"]

    assert [type(outcome) for outcome in outcomes] == [
        ProbeFailure,
        ProbeResponse,
        ProbeFailure,
        ProbeResponse,
    ]
