"""Waiting for what happens in other threads and processes."""

import asyncio
from collections.abc import Callable

import psutil

from argos.core.probe import Probe
from tests.agent.engine.servers import OK, ServerThread, read_request

LIMIT = 15.0
"""Seconds for what should take a fraction of one."""


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds, with a limit."""
    async with asyncio.timeout(LIMIT):
        # What is waited for happens in other threads and processes.
        while not holds():  # noqa: ASYNC110  no event reaches us from there
            await asyncio.sleep(0.01)


def descriptors(pid: int) -> int:
    """How many of them a process has open."""
    count: int = psutil.Process(pid).num_fds()
    return count


class Gate:
    """A website that answers when its gate is opened; counts who came."""

    def __init__(self, servers: ServerThread) -> None:
        self.came = 0
        self._servers = servers
        self._opened = asyncio.Event()
        self._port = servers.serve(self._behave)

    @property
    def probe(self) -> Probe:
        """One of it."""
        return Probe(f"http://127.0.0.1:{self._port}/")

    def open(self) -> None:
        """Let everybody in, from now on."""
        self._servers.call(self._opened.set)

    async def _behave(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await read_request(reader)
        self.came += 1
        await self._opened.wait()
        writer.write(OK)
        await writer.drain()
