"""Loopback servers in threads of their own, so that they and the engine do not share
an event loop: what one server does must not slow the measuring of another.
"""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class ServerThread:
    """An event loop in a thread, with servers on it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._transports: list[asyncio.DatagramTransport] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def serve(
        self,
        behave: Behaviour,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> int:
        """Start a server; its port."""
        started: int = self._run(self._serve(behave, host, port, tls))
        return started

    def serve_datagrams(self, protocol: asyncio.DatagramProtocol) -> int:
        """Start a UDP server; its port."""
        started: int = self._run(self._serve_datagrams(protocol))
        return started

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the servers' thread."""
        self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """End all servers and what they are doing."""
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self, behave, host, port, tls):
        async def answer(reader, writer):
            # The event loop itself forgets a task that waits for nothing of its own.
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await behave(reader, writer)
            self._tasks.discard(task)
            writer.close()

        server = await asyncio.start_server(answer, host, port, ssl=tls, backlog=1024)
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def _serve_datagrams(self, protocol):
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: protocol, local_addr=("127.0.0.1", 0)
        )
        self._transports.append(transport)
        return transport.get_extra_info("sockname")[1]

    async def _close(self):
        for server in self._servers:
            server.close()
        for transport in self._transports:
            transport.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # One more turn, for the transports to close.
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@contextmanager
def server_thread() -> Iterator[ServerThread]:
    """Servers until the end of the block."""
    thread = ServerThread()
    try:
        yield thread
    finally:
        thread.close()


def answering(payload: bytes) -> Behaviour:
    """Read a request, answer with these bytes, and close."""

    async def behave(reader, writer):
        await read_request(reader)
        writer.write(payload)
        await writer.drain()

    return behave


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The request's head."""
    return await reader.readuntil(b"\r\n\r\n")


def reset(writer: asyncio.StreamWriter) -> None:
    """Have the connection end with a RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def wait_for_end(reader: asyncio.StreamReader) -> None:
    """Do nothing until the client has gone."""
    while await reader.read(65536):
        pass
