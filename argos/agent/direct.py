"""Calls to the server on connections of our own, which are kept.

httpx2 asks for them as it asks its own transport, which takes an agent 20 us more for
each page over HTTP, a seventh of all its CPU, and is there for what this one does not
do: proxies.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx2

from argos.agent.engine.failure import AnswerError
from argos.agent.engine.header import find_fields
from argos.agent.engine.http1 import AnswerReader

NEXT_ADDRESS_AFTER_S = 0.25
"""A name may have addresses of both IP versions, one of which leads nowhere."""


class DirectTransport(httpx2.AsyncBaseTransport):
    """Sends each request on a connection that nothing else uses meanwhile."""

    def __init__(
        self, *, tls: ssl.SSLContext | None, keep_s: float, max_bytes: int
    ) -> None:
        self._tls = tls
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._idle: list[Connection] = []
        """The one that was used last comes last, and is used next."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        content = await request.aread()
        connection = self._take_idle() or await self._connect(request)
        try:
            answer = await connection.ask(request, content)
        except BaseException:
            connection.close()
            raise
        if connection.is_reusable:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    async def aclose(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _take_idle(self) -> "Connection | None":
        """A connection that still stands, for not too long without use."""
        since = asyncio.get_running_loop().time() - self._keep_s
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable and connection.idle_since > since:
                return connection
            connection.close()
        return None

    async def _connect(self, request: httpx2.Request) -> "Connection":
        url = request.url
        is_tls = url.scheme == "https"
        limit_s = request.extensions["timeout"]["connect"]
        loop = asyncio.get_running_loop()
        more: dict[str, Any] = {}
        # uvloop, under `argos up`, tries one address after the other: its server is near.
        if isinstance(loop, asyncio.BaseEventLoop):
            more["happy_eyeballs_delay"] = NEXT_ADDRESS_AFTER_S
        try:
            async with asyncio.timeout(limit_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._max_bytes),
                    url.raw_host.decode(),
                    url.port or (443 if is_tls else 80),
                    ssl=self._tls if is_tls else None,
                    **more,
                )
        except TimeoutError as err:
            text = f"no connection within {limit_s:g} s"
            raise httpx2.ConnectTimeout(text, request=request) from err
        except (OSError, UnicodeError) as err:
            # The latter where a host cannot be a name.
            raise httpx2.ConnectError(str(err), request=request) from err
        return connection


class Connection(asyncio.Protocol):
    """A connection to the server; one request at a time."""

    def __init__(self, max_bytes: int) -> None:
        self.idle_since = 0.0
        """By the event loop's clock."""
        self.is_reusable = True
        self._max_bytes = max_bytes
        self._transport: asyncio.Transport
        self._reader = AnswerReader()
        self._pieces: list[bytes] = []
        self._size = 0
        self._ended: asyncio.Future[None] | None = None
        """There while an answer is awaited."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No check: uvloop's transports are of no common class with asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._ended is None or self._ended.done():
            # Nobody has asked for anything.
            self.close()
            return
        try:
            self._take_in(data)
        except AnswerError as err:
            self._end(httpx2.RemoteProtocolError(err.text))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_reusable = False
        if self._ended is None or self._ended.done():
            return
        if exc is not None:
            self._end(httpx2.ReadError(str(exc)))
            return
        try:
            self._reader.end()
        except AnswerError as err:
            self._end(httpx2.RemoteProtocolError(err.text))
        else:
            self._end(None)

    def close(self) -> None:
        """Give the connection up."""
        self.is_reusable = False
        self._transport.abort()

    async def ask(self, request: httpx2.Request, content: bytes) -> httpx2.Response:
        """Send a request and wait for all of its answer."""
        self._reader = AnswerReader()
        self._pieces, self._size = [], 0
        self._ended = asyncio.get_running_loop().create_future()
        target = b"%b %b HTTP/1.1\r\n" % (
            request.method.encode(),
            request.url.raw_path,
        )
        fields = [b"%b: %b\r\n" % field for field in request.headers.raw]
        self._transport.write(b"".join([target, *fields, b"\r\n", content]))
        await self._ended
        return self._answer()

    def _take_in(self, data: bytes) -> None:
        reader = self._reader
        while True:
            pieces = reader.feed(data)
            self._pieces += pieces
            self._size += sum(map(len, pieces))
            if self._size > self._max_bytes:
                text = f"the answer is longer than {self._max_bytes >> 20} MiB"
                self._end(httpx2.DecodingError(text))
            elif reader.is_complete:
                self._end(None)
            elif reader.has_more:
                data = b""
                continue
            return

    def _end(self, err: Exception | None) -> None:
        assert self._ended is not None
        if err is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(err)

    def _answer(self) -> httpx2.Response:
        reader = self._reader
        headers = find_fields(reader.lines)
        if headers is None:
            raise httpx2.RemoteProtocolError("the headers broke off")
        is_last = "close" in headers.values.get("connection", "").lower()
        if is_last or reader.version == 10 or not reader.is_complete:
            self.is_reusable = False
        status_line = headers.block.partition(b"\n")[0]
        reason = status_line.rstrip(b"\r").split(b" ", 2)[2:]
        return httpx2.Response(
            reader.status,
            headers=headers.read(),
            stream=_Body(b"".join(self._pieces)),
            extensions={"reason_phrase": reason[0] if reason else b""},
        )


class _Body(httpx2.AsyncByteStream):
    """A body that has come; it may still have to be unpacked."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content
