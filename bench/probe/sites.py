"""Thousands of websites in one process, each at a loopback address of its own.

It notes when each was visited; see `running_sites`.
"""

import asyncio
import multiprocessing
import random
import resource
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from multiprocessing.connection import Connection

import uvloop

BACKLOG = 4096
DRIP_PAUSE_S = 5.0
START_LIMIT_S = 30.0
_LINGER_0 = struct.pack("ii", 1, 0)
"""To close with a linger time of 0 is what sends RST."""
_PAGE = b"w" * 600
_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
_ANSWER = _HEAD % len(_PAGE) + _PAGE


class Health(StrEnum):
    """How a website is."""

    FINE = "fine"
    HANGS = "hangs"
    """It takes the connection, and never answers."""
    FULL = "full"
    """Its accept queue is full: no connection ever stands."""
    DRIPS = "drips"
    """A byte every five seconds."""
    RESETS = "resets"
    """It resets the connection in the middle of the body."""


@dataclass(frozen=True)
class Fleet:
    """The websites by their addresses."""

    port: int
    healths: dict[str, Health]

    def url(self, address: str) -> str:
        return f"http://{address}:{self.port}"

    def of(self, *healths: Health) -> list[str]:
        """The addresses of all that are so."""
        return [key for key, health in self.healths.items() if health in healths]


@dataclass
class Visits:
    """When each address was visited, by the wall clock; full once the block ended."""

    times: dict[str, list[float]] = field(default_factory=dict)


def make_fleet(port: int, healths: Sequence[Health], *, seed: int = 1) -> Fleet:
    """So many websites, the sick ones spread at random; always in the same way."""
    mixed = list(healths)
    random.Random(seed).shuffle(mixed)
    addresses = [
        f"127.{20 + n // 60_000}.{n // 240 % 250}.{n % 240 + 1}"
        for n in range(len(mixed))
    ]
    return Fleet(port, dict(zip(addresses, mixed, strict=True)))


@contextmanager
def running_sites(fleet: Fleet) -> Iterator[Visits]:
    """Serve the websites from another process for as long as the block lasts."""
    visits = Visits()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(fleet, theirs), daemon=True
    )
    process.start()
    if not ours.poll(START_LIMIT_S) or ours.recv() != "ready":
        raise SystemExit("the websites did not start")
    try:
        yield visits
    finally:
        ours.send("stop")
        visits.times = ours.recv()
        process.join(10)
        process.terminate()


def _serve(fleet: Fleet, pipe: Connection) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(_run(fleet, pipe))


async def _run(fleet: Fleet, pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    times: dict[str, list[float]] = {address: [] for address in fleet.healths}
    jammed = [_jam(address, fleet.port) for address in fleet.of(Health.FULL)]
    # One socket for all addresses; one of an address alone comes before it.
    listener = _listener("0.0.0.0", fleet.port, BACKLOG)
    server = await loop.create_server(
        lambda: _Visit(fleet.healths, times), sock=listener, backlog=BACKLOG
    )
    stop = asyncio.Event()
    loop.add_reader(pipe.fileno(), stop.set)
    pipe.send("ready")
    await stop.wait()
    server.close()
    pipe.send(times)
    del jammed


def _listener(address: str, port: int, backlog: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((address, port))
    listener.listen(backlog)
    return listener


def _jam(address: str, port: int) -> list[socket.socket]:
    """A listener whose accept queue is full, with what fills it."""
    sockets = [_listener(address, port, 0)]
    for _ in range(3):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex((address, port))
        sockets.append(client)
    return sockets


class _Visit(asyncio.Protocol):
    """One connection of a visitor."""

    def __init__(
        self, healths: dict[str, Health], times: dict[str, list[float]]
    ) -> None:
        self._healths = healths
        self._times = times
        self._health = Health.FINE
        self._transport: asyncio.Transport
        self._dripping: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        moment = time.time()
        self._transport = transport  # type: ignore[assignment]  # uvloop's is of no common class
        address = transport.get_extra_info("sockname")[0]
        self._health = self._healths.get(address, Health.FINE)
        if address in self._times:
            self._times[address].append(moment)

    def data_received(self, _data: bytes) -> None:
        match self._health:
            case Health.FINE:
                self._transport.write(_ANSWER)
                self._transport.close()
            case Health.RESETS:
                self._transport.write(_HEAD % 10_000 + _PAGE)
                asyncio.get_running_loop().call_later(0.02, self._reset)
            case Health.DRIPS:
                self._transport.write(_HEAD % 10_000)
                self._drip()
            case _:
                return  # and never says anything

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._dripping is not None:
            self._dripping.cancel()

    def _reset(self) -> None:
        raw = self._transport.get_extra_info("socket")
        if raw is not None and not self._transport.is_closing():
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self._transport.abort()

    def _drip(self) -> None:
        self._transport.write(b".")
        loop = asyncio.get_running_loop()
        self._dripping = loop.call_later(DRIP_PAUSE_S, self._drip)
