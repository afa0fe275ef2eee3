"""Websites that behave badly, each at a loopback address of its own.

They live on an event loop in a thread of the tests, so that a test can switch one from
one habit to another while agents visit it.
"""

import asyncio
import contextlib
import socket
import struct
import threading
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from enum import StrEnum
from typing import Any, Self, TypeVar

T = TypeVar("T")

PAGE = b"Welcome"
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
_MEGABYTE = 1024 * 1024
_ENDLESS_BYTES = 1024 * _MEGABYTE
_DRIP_PAUSE_S = 0.2


class Habit(StrEnum):
    """How a website answers."""

    FINE = "fine"
    HOLD = "hold"
    """It answers well, but only once `release` is called."""
    RESET = "reset"
    EMPTY = "empty"
    """It hangs up without a word."""
    GARBAGE = "garbage"
    DRIP = "drip"
    """A byte now and then, for ever."""
    SILENT = "silent"
    """It takes the request, and never says anything."""
    BOMB = "bomb"
    """A gibibyte of zeros, in a mebibyte of gzip."""
    BAD_HEADERS = "bad-headers"
    ENDLESS = "endless"
    """A gibibyte, as it is."""


class Site:
    """A website of the zoo."""

    def __init__(
        self, address: str, habit: Habit, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._loop = loop
        self.address = address
        self.habit = habit
        self.visits = 0
        self._released = asyncio.Event()

    def hold(self) -> None:
        """Let the next visitors wait."""
        self._released = asyncio.Event()
        self.habit = Habit.HOLD

    def release(self) -> None:
        """Answer those who wait, and everybody after them."""
        self.habit = Habit.FINE
        self._loop.call_soon_threadsafe(self._released.set)

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one connection, in whatever way the site has."""
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.visits += 1
            await self._answer(reader, writer)
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass  # the visitor left, as well it may
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.habit is Habit.SILENT:
            await reader.read()  # until the visitor leaves
            return
        if self.habit is Habit.HOLD:
            await self._released.wait()
        await _ANSWERS[self.habit](writer)


class Zoo:
    """The sites of a test, on one port."""

    def __init__(self, port: int, habits: dict[str, Habit]) -> None:
        self.port = port
        self._loop = asyncio.new_event_loop()
        self.sites = {
            address: Site(address, habit, self._loop)
            for address, habit in habits.items()
        }
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []

    def url(self, site: Site) -> str:
        return f"http://{site.address}:{self.port}"

    def url_of(self, habit: Habit) -> str:
        """The URL of the first site that had this habit from the start."""
        return next(
            self.url(site) for site in self.sites.values() if site.habit is habit
        )

    def __enter__(self) -> Self:
        self._thread.start()
        for site in self.sites.values():
            self._servers.append(
                self._call(asyncio.start_server(site.answer, site.address, self.port))
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        visits = asyncio.all_tasks() - {asyncio.current_task()}
        for visit in visits:
            visit.cancel()
        await asyncio.gather(*visits, return_exceptions=True)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


async def _answer_well(writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD + b"Content-Length: %d\r\n\r\n" % len(PAGE) + PAGE)
    await writer.drain()


async def _reset(writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD[:30])
    await writer.drain()
    raw: socket.socket = writer.get_extra_info("socket")
    # To close with a linger time of 0 is what sends RST.
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def _send_garbage(writer: asyncio.StreamWriter) -> None:
    writer.write(bytes(range(256)) * 8)
    await writer.drain()


async def _send_bad_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-\x00\x1b[2J: \xff\r\nno colon\r\n")
    for number in range(50_000):
        writer.write(b"X-%d: %s\r\n" % (number, b"y" * 200))
        await writer.drain()


async def _drip(writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD + b"Content-Length: 1000000\r\n\r\n")
    for _ in range(1_000_000):
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(_DRIP_PAUSE_S)


async def _send_bomb(writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n")
    for chunk in _compressed_zeros():
        writer.write(chunk)
        await writer.drain()


def _compressed_zeros() -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(_MEGABYTE)
    # After a full flush the same input gives the same bytes.
    yield packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    megabyte = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(1, _ENDLESS_BYTES // _MEGABYTE):
        yield megabyte


async def _send_endlessly(writer: asyncio.StreamWriter) -> None:
    writer.write(_HEAD + b"Content-Length: %d\r\n\r\n" % _ENDLESS_BYTES)
    block = b"x" * 65536
    for _ in range(_ENDLESS_BYTES // len(block)):
        writer.write(block)
        await writer.drain()


_ANSWERS: dict[Habit, Callable[[asyncio.StreamWriter], Awaitable[None]]] = {
    Habit.FINE: _answer_well,
    Habit.HOLD: _answer_well,
    Habit.RESET: _reset,
    Habit.EMPTY: _hang_up,
    Habit.GARBAGE: _send_garbage,
    Habit.DRIP: _drip,
    Habit.BOMB: _send_bomb,
    Habit.BAD_HEADERS: _send_bad_headers,
    Habit.ENDLESS: _send_endlessly,
}
