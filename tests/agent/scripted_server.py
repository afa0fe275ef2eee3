"""A server on loopback that answers agents as a test wants, and notes what they ask."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from argos.protocol import PROTOCOL, PROTOCOL_HEADER


@dataclass(frozen=True)
class Request:
    """What an agent sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What is sent back; `raw` replaces all of it."""

    status: int = 200
    body: bytes = b"[]"
    headers: dict[str, str] = field(default_factory=lambda: {PROTOCOL_HEADER: PROTOCOL})
    raw: bytes | None = None

    def encode(self) -> bytes:
        if self.raw is not None:
            return self.raw
        lines = [f"HTTP/1.1 {self.status} Status", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


Respond = Callable[[Request], Awaitable[Reply] | Reply]


class ScriptedServer:
    """Answers by a function that the test may exchange."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.requests: list[Request] = []
        self.connections = 0
        self.url = ""
        self._serving: set[asyncio.Task[None]] = set()

    def of(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        serving = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(serving)

    async def hang_up(self) -> None:
        """End all connections, and whatever is being answered on them."""
        for serving in self._serving:
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await self._answer(reader, writer)
        finally:
            writer.transport.abort()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await _read(reader)
                self.requests.append(request)
                reply = self.respond(request)
                if not isinstance(reply, Reply):
                    reply = await reply
                writer.write(reply.encode())
                await writer.drain()
                if reply.raw is not None:
                    writer.close()
                    await writer.wait_closed()
                    return


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {
        name.lower(): value
        for name, _, value in (line.partition(": ") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body)


@contextlib.asynccontextmanager
async def scripted_server(
    respond: Respond, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedServer]:
    """A server for as long as the context lasts."""
    scripted = ScriptedServer(respond)
    listening = await asyncio.start_server(scripted.accept, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    scripted.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield scripted
    finally:
        listening.close()
        await scripted.hang_up()
        await listening.wait_closed()
