"""How the servers of the zoo behave."""

import asyncio

from tests.agent.engine.servers import (
    OK,
    Behaviour,
    answering,
    read_request,
    reset,
    wait_for_end,
)


def sending(*pieces: bytes, pause: float = 0.0, then: str = "fin") -> Behaviour:
    """Read a request, send pieces, and end with "fin", "rst" or "stall"."""

    async def behave(reader, writer):
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if then == "rst":
            reset(writer)
        if then == "stall":
            await wait_for_end(reader)

    return behave


def repeating(head: bytes, piece: bytes, times: int = 10**9) -> Behaviour:
    """Read a request, send a head, and a piece again and again."""

    async def behave(reader, writer):
        await read_request(reader)
        writer.write(head)
        for _ in range(times):
            writer.write(piece)
            await writer.drain()

    return behave


def repeating_at_once(piece: bytes) -> Behaviour:
    """Send a piece again and again, asked or not."""

    async def behave(_reader, writer):
        while True:
            writer.write(piece)
            await writer.drain()

    return behave


def greeting(banner: bytes) -> Behaviour:
    """Speak first, as no web server does."""

    async def behave(_reader, writer):
        writer.write(banner)
        await writer.drain()
        await asyncio.sleep(0.2)

    return behave


async def silent(reader, _writer):
    await wait_for_end(reader)


async def reset_at_once(_reader, writer):
    # A little later, since a reset may overtake the end of the client's connect().
    await asyncio.sleep(0.05)
    reset(writer)


async def close_at_once(_reader, writer):
    writer.close()
    await writer.wait_closed()


STATUS = b"HTTP/1.1 200 OK\r\n"


def with_headers(headers: bytes, body: bytes = b"") -> bytes:
    return STATUS + headers + b"\r\n\r\n" + body


def encoded(encoding: bytes, body: bytes) -> Behaviour:
    return answering(with_headers(b"Content-Encoding: " + encoding, body))


CHUNKED = b"Transfer-Encoding: chunked"


def found_at(location: bytes) -> bytes:
    """An answer that leads there."""
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n"
    return head + b"Location: " + location + b"\r\n\r\n"


def redirecting(location: bytes) -> Behaviour:
    return answering(found_at(location))


def by_path(answers: dict[bytes, bytes]) -> Behaviour:
    """Answer each path as said, and all others well."""

    async def behave(reader, writer):
        path = (await read_request(reader)).split(b" ")[1]
        writer.write(answers.get(path, OK))
        await writer.drain()

    return behave
