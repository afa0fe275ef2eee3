"""Running the server in this process, alone or together with an agent."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from argos.agent.main import ArgosAgent

STOP_LIMIT_S = 5
"""For requests under way when the server stops."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    """Ends with exit code 0 when it is told to stop.

    uvicorn's own way is to die of the signal once everything is closed.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {
            number: signal.signal(number, self.handle_exit) for number in _SIGNALS
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _LedServer(uvicorn.Server):
    """Leaves signals to the one who leads it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(app: Any, listener: socket.socket, **options: Any) -> None:
    """Serve until a signal ends it."""
    server = _Server(_config(app, **options))
    with _runner(server) as runner:
        runner.run(server.serve(sockets=[listener]))


def serve_with_agent(app: Any, agent: "ArgosAgent", listener: socket.socket) -> None:
    """Run both until a signal ends them: softly the first, at once the second."""
    server = _LedServer(_config(app, access_log=False))
    with _runner(server) as runner:
        runner.run(_lead(server, agent, listener))


def _config(app: Any, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app, log_config=None, timeout_graceful_shutdown=STOP_LIMIT_S, **options
    )


def _runner(server: uvicorn.Server) -> asyncio.Runner:
    return asyncio.Runner(loop_factory=server.config.get_loop_factory())


async def _lead(
    server: uvicorn.Server, agent: "ArgosAgent", listener: socket.socket
) -> None:
    seen: list[int] = []

    def end(number: int) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        agent.stop()

    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, end, number)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    working = asyncio.create_task(agent.run())
    await asyncio.wait({serving, working}, return_when=asyncio.FIRST_COMPLETED)
    # The server outlives the agent, which reports, and hands its leases back.
    agent.stop()
    await asyncio.wait({working})
    server.should_exit = True
    await asyncio.gather(serving, working)
