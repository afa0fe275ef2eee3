"""A reporter beside a scenario, in virtual time."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from argos.agent.backoff import Backoff
from argos.agent.reporter import (
    Reporter,
)
from argos.agent.spool import Spool
from argos.core.severity import Status
from argos.errors import ServerUnreachable
from argos.protocol import AgentResult
from tests.agent.doubles import MemoryServer, run_inline, run_virtual
from tests.simulator.virtual_time import VirtualClock, VirtualTimeLoop

AWAY = ServerUnreachable("server.example cannot be reached", is_unprocessed=True)
SILENT = ServerUnreachable("server.example does not answer")


def results(count: int, *, first: int = 0, size: int = 0) -> list[bytes]:
    template = AgentResult(task_id=0, status=Status.SUCCESS, context={"a": "x" * size})
    return [
        template.model_copy(update={"task_id": n}).model_dump_json().encode()
        for n in range(first, first + count)
    ]


Scenario = Callable[
    [VirtualTimeLoop, MemoryServer, Reporter], Coroutine[Any, Any, None]
]


def play(
    scenario: Scenario, spool: Spool | None = None, *, is_legacy: bool = False
) -> tuple[MemoryServer, Reporter]:
    """Run a reporter beside a scenario, until that ends."""

    async def body(loop: VirtualTimeLoop) -> tuple[MemoryServer, Reporter]:
        server = MemoryServer(loop, is_legacy=is_legacy)
        reporter = Reporter(
            server,
            spool,
            clock=VirtualClock(loop),
            backoff=Backoff(random.Random(1)),
            run_blocking=run_inline,
        )
        running = asyncio.create_task(reporter.run())
        reporter.meet_server(is_legacy=is_legacy)
        await scenario(loop, server, reporter)
        running.cancel()
        await asyncio.wait({running})
        return server, reporter

    return run_virtual(body)


def always(error: Exception | None) -> Callable[[Sequence[bytes]], Exception | None]:
    return lambda _: error
