"""Server and agent in one process and one event loop."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from argos.agent.main import ArgosAgent

STOP_LIMIT_S = 5
"""For requests under way when the server stops."""


class _Server(uvicorn.Server):
    """Leaves signals alone: the agent has to stop first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run_pair(app: Any, agent: ArgosAgent, listener: socket.socket) -> None:
    """Run both until a signal ends them: softly the first, at once the second."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOP_LIMIT_S,
    )
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_run(_Server(config), agent, listener))


async def _run(server: _Server, agent: ArgosAgent, listener: socket.socket) -> None:
    seen: list[int] = []

    def end(number: int) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        agent.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    working = asyncio.create_task(agent.run())
    await asyncio.wait({serving, working}, return_when=asyncio.FIRST_COMPLETED)
    # The server outlives the agent, which reports, and hands its leases back.
    agent.stop()
    await asyncio.wait({working})
    server.should_exit = True
    await asyncio.gather(serving, working)
