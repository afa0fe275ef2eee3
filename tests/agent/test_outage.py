"""An agent's last word on a server that is gone (I-41)."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import pytest

from argos.agent.outage import OutageWatch, poster
from argos.clock import system_clock
from argos.errors import DeliveryError, ServerUnreachable
from tests.agent.doubles import (
    Agent,
    MemoryEngine,
    MemoryServer,
    run_virtual,
)
from tests.agent.scripted_server import Reply, scripted_server
from tests.e2e.programs import free_port
from tests.simulator.virtual_time import START, VirtualClock, VirtualTimeLoop


class Chat:
    """Keeps what is posted."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop
        self.documents: list[tuple[float, dict[str, Any]]] = []
        self.attempts: list[float] = []
        self.error: DeliveryError | None = None

    async def __call__(self, document) -> None:
        self.attempts.append(self._loop.time())
        if self.error is not None:
            raise self.error
        self.documents.append((self._loop.time(), document))


def live(*, up_s, down_s, then_up_s=0.0, trouble_s=0.0) -> Chat:
    """A server that is up, down, and up again; the chat has trouble for a while."""

    async def scenario(loop: VirtualTimeLoop) -> Chat:
        server, chat = MemoryServer(loop), Chat(loop)
        watch = OutageWatch(
            chat,
            agent="anna",
            server="https://user:secret@argos.example:8000/",
            after_s=600.0,
            clock=VirtualClock(loop),
        )
        agent = Agent(loop, server, MemoryEngine(), outage=watch)
        working = asyncio.create_task(agent.work(up_s + down_s + then_up_s))
        await asyncio.sleep(up_s)
        server.lease_error = ServerUnreachable("Connection refused.")
        chat.error = DeliveryError("no route") if trouble_s else None
        await asyncio.sleep(trouble_s)
        chat.error = None
        await asyncio.sleep(down_s - trouble_s)
        server.lease_error = None
        await working
        return chat

    return run_virtual(scenario)


def test_a_short_outage_is_not_told():
    assert live(up_s=100, down_s=500, then_up_s=2000).documents == []


def test_a_long_outage_is_told_once_and_its_end_once():
    chat = live(up_s=100, down_s=4000, then_up_s=1000)

    (gone_at, gone), (back_at, back) = chat.documents
    assert 700 <= gone_at <= 760
    assert 4100 <= back_at <= 4160
    assert gone["kind"] == "server-gone"
    assert gone["agent"] == "anna"
    assert gone["message"].endswith("Connection refused.")
    assert back["kind"] == "server-back"
    assert gone["since"] == back["since"]
    assert gone["since"] >= (START + timedelta(seconds=100)).isoformat()
    assert "secret" not in str(chat.documents)


def test_a_server_that_never_answered_is_told_as_well():
    (_, document) = live(up_s=0, down_s=1000).documents[0]

    assert document["kind"] == "server-gone"


def test_what_cannot_be_delivered_is_tried_again_each_minute():
    chat = live(up_s=0, down_s=2000, trouble_s=1000, then_up_s=100)

    assert [document["kind"] for _, document in chat.documents] == [
        "server-gone",
        "server-back",
    ]
    in_vain = [moment for moment in chat.attempts if moment < 1000]
    assert 4 <= len(in_vain) <= 8


@pytest.mark.parametrize("down_s", [650, 5000])
def test_an_agent_that_stops_in_an_outage_ends(down_s):
    assert len(live(up_s=10, down_s=down_s).documents) == 1


async def test_what_is_told_is_posted_as_json():
    replies = iter([Reply(200, b"ok"), Reply(302, b"", {"Location": "/elsewhere"})])

    async with scripted_server(lambda _: next(replies)) as server:
        post = poster(f"{server.url}/hook?token=secret")
        await post({"kind": "server-gone"})
        with pytest.raises(DeliveryError, match="answered 302") as refused:
            await post({"kind": "server-back"})

    assert "secret" not in str(refused.value)
    targets = [request.target for request in server.requests]
    assert targets == ["/hook?token=secret"] * 2
    assert server.requests[0].json() == {"kind": "server-gone"}


async def test_an_address_that_nobody_answers_at_is_an_error():
    post = poster(f"http://127.0.0.1:{free_port()}/secret")

    with pytest.raises(DeliveryError, match="cannot be reached") as failed:
        await post({})

    assert "secret" not in str(failed.value)


@contextlib.asynccontextmanager
async def answering(answer):
    """The URL of a server that answers each connection so, until it is broken off."""
    tasks = set()

    async def run(writer) -> None:
        try:
            await answer(writer)
        finally:
            writer.transport.abort()

    def accept(_reader, writer) -> None:
        tasks.add(asyncio.create_task(run(writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_an_outage_is_told_once_though_the_agent_is_started_anew(tmp_path):
    memory = tmp_path / "outage"

    async def scenario(loop: VirtualTimeLoop) -> Chat:
        server, chat = MemoryServer(loop), Chat(loop)
        server.lease_error = ServerUnreachable("Connection refused.")
        for is_back in (False, False, True):
            watch = OutageWatch(
                chat,
                agent="anna",
                server="https://argos.example/",
                after_s=600.0,
                clock=VirtualClock(loop),
                memory=memory,
            )
            if is_back:
                server.lease_error = None
            await Agent(loop, server, MemoryEngine(), outage=watch).work(1_000.0)
        return chat

    chat = run_virtual(scenario)

    assert [document["kind"] for _, document in chat.documents] == [
        "server-gone",
        "server-back",
    ]
    assert not memory.exists()


@pytest.mark.parametrize("text", ["", "yesterday", "\0\0"])
def test_a_memory_that_cannot_be_made_out_is_none(tmp_path, text):
    memory = tmp_path / "outage"
    memory.write_text(text)

    watch = OutageWatch(
        poster("http://127.0.0.1:9"),
        agent="anna",
        server="https://argos.example/",
        after_s=600.0,
        clock=system_clock,
        memory=memory,
    )

    watch.succeed()  # and tells nobody


async def test_an_answer_without_end_is_not_read():
    async def endless(writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with answering(endless) as url, asyncio.timeout(5.0):
        await poster(url)({})


async def test_an_answer_that_drips_is_given_up():
    async def drip(writer) -> None:
        for letter in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
            writer.write(bytes([letter]))
            await writer.drain()
            await asyncio.sleep(0.02)

    async with answering(drip) as url:
        with pytest.raises(DeliveryError, match="did not answer within"):
            await poster(url, timeout_s=0.3)({})
