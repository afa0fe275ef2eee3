"""Calls to a server on connections of our own, and by a proxy that the user named."""

import asyncio
import gzip
import json

import pytest
import uvloop

from argos.agent.client import MAX_ANSWER_BYTES
from argos.agent.direct import Connection, DirectTransport
from argos.errors import ServerError, ServerUnreachable
from tests.agent.scripted_server import Reply, Request, scripted_server
from tests.agent.test_client import LEASE, TASK, answering, client_of, talking

TASKS = json.dumps([TASK]).encode()
HEAD = b"HTTP/1.1 200 OK\r\nArgos-Protocol: 2\r\n"


def raw(answer: bytes) -> Reply:
    return Reply(raw=answer)


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: %d\r\n\r\n" % len(TASKS) + TASKS,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\n" + TASKS[:9] + b"\r\n"
        + b"%x\r\n" % (len(TASKS) - 9) + TASKS[9:] + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early\r\n\r\n" + HEAD
        + b"Content-Length: %d\r\n\r\n" % len(TASKS) + TASKS,
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        % len(gzip.compress(TASKS)) + gzip.compress(TASKS),
        HEAD.replace(b"1.1", b"1.0") + b"\r\n" + TASKS,
    ],
    ids=["length", "chunks", "early hints", "packed", "until the end"],
)  # fmt: skip
async def test_an_answer_may_come_in_any_form(answer: bytes) -> None:
    async with talking(lambda request: raw(answer)) as (client, _):
        leased = await client.lease(LEASE)

    assert [task.id for task in leased.tasks] == [1]
    assert not leased.is_legacy


def test_the_loop_of_argos_up_will_do_too() -> None:
    async def lease() -> int:
        async with talking(answering([TASK])) as (client, _):
            return len((await client.lease(LEASE)).tasks)

    assert uvloop.run(lease()) == 1


async def test_many_pieces_make_one_answer() -> None:
    async with talking(answering(TASKS + b" " * 900_000)) as (client, server):
        first = await client.lease(LEASE)
        second = await client.lease(LEASE)

    assert first.tasks == second.tasks
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 5\r\n\r\n[]",
        HEAD + b"Content-Le",
        HEAD + b"Content-Length: two\r\n\r\n[]",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]",
    ],
    ids=["body broken off", "head broken off", "odd length", "packed badly"],
)
async def test_an_answer_that_makes_no_sense_is_none(answer: bytes) -> None:
    async with talking(lambda request: raw(answer)) as (client, _):
        with pytest.raises(ServerUnreachable, match="cannot be reached") as caught:
            await client.report([b"{}"])

    assert not caught.value.is_unprocessed


async def test_a_connection_that_the_server_ends_is_replaced() -> None:
    async with talking(answering([TASK], Connection="close")) as (client, server):
        await client.lease(LEASE)
        await client.lease(LEASE)
        assert server.connections == 2

        server.respond = answering([TASK])
        await client.lease(LEASE)
        transport = client._http._transport
        assert isinstance(transport, DirectTransport)
        [idle] = transport._idle
        await server.hang_up()
        while idle.is_reusable:  # noqa: ASYNC110  # it has nobody to tell
            await asyncio.sleep(0)
        await client.lease(LEASE)

    assert len(server.requests) == 4


async def test_a_connection_on_which_something_comes_unasked_is_left() -> None:
    async with scripted_server(answering([])) as server:
        port = int(server.url.rpartition(":")[2])
        transport, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(MAX_ANSWER_BYTES), "127.0.0.1", port
        )
        assert connection.is_reusable

        connection.data_received(b"HTTP/1.1 200 OK\r\n")

    assert transport.is_closing()
    assert not connection.is_reusable


async def test_who_breaks_a_call_off_does_not_get_its_answer_later() -> None:
    late = asyncio.Event()

    async def respond(request: Request) -> Reply:
        await late.wait()
        return Reply(body=TASKS)

    async with talking(respond) as (client, server):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.lease(LEASE), 0.05)
        late.set()
        server.respond = answering([])
        leased = await client.lease(LEASE)

    assert leased.tasks == []
    assert server.connections == 2


@pytest.mark.parametrize("uses_proxy", [True, False])
async def test_a_proxy_of_the_environment_is_used_if_it_may_be(
    uses_proxy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        scripted_server(answering([])) as proxy,
        scripted_server(answering([TASK])) as server,
    ):
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        async with client_of(server.url, uses_proxy=uses_proxy) as client:
            leased = await client.lease(LEASE)

    asked, other = (proxy, server) if uses_proxy else (server, proxy)
    assert len(leased.tasks) == (0 if uses_proxy else 1)
    assert (len(asked.requests), len(other.requests)) == (1, 0)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "nonsense://127.0.0.1:1"])
async def test_a_proxy_of_the_environment_that_cannot_be_used_is_told(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", proxy)

    with pytest.raises(ServerError, match="ALL_PROXY"):
        async with client_of("http://127.0.0.1:1"):
            pass


async def test_a_host_that_cannot_be_a_name_is_not_reached() -> None:
    async with client_of("http://argos..example") as client:
        with pytest.raises(ServerUnreachable, match="cannot be reached"):
            await client.lease(LEASE)
