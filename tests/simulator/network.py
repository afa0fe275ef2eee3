"""The network between agents and servers: messages are late, lost, repeated, unanswered."""

import asyncio
import json
import random
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

from argos.agent.client import LeaseAnswer, LeaseRequest
from argos.errors import ServerError, ServerUnreachable
from argos.protocol import HeldLease, ReportAnswer
from tests.simulator.history import Key
from tests.simulator.server import Common, Server

CALL_TIMEOUT_S = 30.0


class FaultyLink:
    """What one agent sees of the servers behind a load balancer."""

    url = "http://simulated"

    def __init__(
        self,
        servers: Sequence[Server],
        agent: str,
        *,
        common: Common,
        rng: random.Random,
    ) -> None:
        self._servers = servers
        self._agent = agent
        self._common = common
        self._rng = rng
        self._repeats: set[asyncio.Task[None]] = set()
        self.is_cut = False
        """Nothing goes out any more."""

    async def lease(self, request: LeaseRequest) -> LeaseAnswer:
        await self._send()
        tasks = await self._server().lease(self._agent, request)
        await self._receive()
        return LeaseAnswer(tasks, is_legacy=False)

    async def report(self, payloads: Sequence[bytes]) -> ReportAnswer:
        body = b"[" + b",".join(payloads) + b"]"
        await self._send()
        self._repeat(lambda: self._server().report(self._agent, body))
        answer = await self._server().report(self._agent, body)
        await self._receive()
        self._note_accepted(payloads, answer)
        return answer

    async def release(self, leases: Sequence[HeldLease]) -> None:
        await self._send()
        self._repeat(lambda: self._server().release(self._agent, leases))
        await self._server().release(self._agent, leases)
        await self._receive()

    async def close(self) -> None:
        """Nothing to close."""

    def _server(self) -> Server:
        return self._rng.choice(self._servers)

    def _note_accepted(self, payloads: Sequence[bytes], answer: ReportAnswer) -> None:
        """Remember what an agent was told to be safe."""
        history = self._common.history
        history.accepted.update(answer.result_ids)
        history.settled.update(map(key_of, payloads))

    async def _send(self) -> None:
        if self.is_cut:
            raise ServerUnreachable("The agent is dead.")
        weather = self._common.weather
        await asyncio.sleep(self._rng.uniform(0, weather.longest_delay_s))
        if self._rng.random() < weather.lost_request:
            await self._time_out()

    async def _receive(self) -> None:
        weather = self._common.weather
        if self._rng.random() < weather.lost_answer:
            await self._time_out()
        await asyncio.sleep(self._rng.uniform(0, weather.longest_delay_s))

    async def _time_out(self) -> None:
        await asyncio.sleep(self._rng.choice([0.1, CALL_TIMEOUT_S]))
        raise ServerUnreachable("The call got no answer.")

    def _repeat(self, call: Callable[[], Coroutine[Any, Any, object]]) -> None:
        if self._rng.random() >= self._common.weather.repeated:
            return

        async def later() -> None:
            await asyncio.sleep(self._rng.uniform(0.1, 90))
            try:
                await call()
            except ServerError:
                return  # nobody waits for the answer

        repeat = asyncio.create_task(later())
        self._repeats.add(repeat)
        repeat.add_done_callback(self._repeats.discard)


def key_of(payload: bytes) -> Key:
    """Which result a payload is."""
    result = json.loads(payload)
    measured_at = datetime.fromisoformat(result["leased_at"])
    return (
        result["task_id"],
        measured_at + timedelta(microseconds=result["elapsed_us"]),
    )
