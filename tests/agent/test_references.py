"""An agent asks its references before it blames a website."""

import asyncio
from datetime import timedelta

import pytest

from argos.agent.references import FRESH_S, LIMIT_S, References
from argos.clock import system_clock
from argos.core.probe import FailureKind, ProbeFailure, ProbeResponse
from argos.core.severity import Status
from argos.protocol import CUT_OFF, DOUBT, AgentResult
from tests.agent.doubles import (
    Agent,
    MemoryEngine,
    MemoryServer,
    make_tasks,
    run_virtual,
)
from tests.simulator.virtual_time import VirtualTimeLoop

GONE = ProbeFailure(FailureKind.CONNECT, "No route to host.")
THERE = ProbeResponse(status_code=503)
URLS = ("https://a.example.org", "https://b.example.org")


class Clock:
    """Time that moves on by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def utcnow(self):
        return system_clock.utcnow()


class Network:
    """Answers by URL; what has no answer hangs."""

    def __init__(self, **answers) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def probe(self, probe):
        self.asked.append(probe.url)
        assert probe.timeout == timedelta(seconds=3)
        answer = self.answers.get(probe.url.split(".")[0].removeprefix("https://"))
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answers", "is_reached"),
    [
        ({"a": GONE, "b": THERE}, True),
        ({"a": THERE}, True),
        ({"a": GONE, "b": GONE}, False),
        ({"a": RuntimeError("broken"), "b": THERE}, True),
        ({"a": RuntimeError("broken"), "b": GONE}, False),
    ],
)
async def test_one_that_answers_is_enough(answers, is_reached):
    references = References(URLS, Network(**answers), clock=Clock())

    assert await references.is_any_reached() is is_reached


async def test_failures_of_a_moment_ask_once():
    network, clock = Network(a=GONE, b=GONE), Clock()
    references = References(URLS, network, clock=clock)

    answers = await asyncio.gather(*[references.is_any_reached() for _ in range(50)])
    assert answers == [False] * 50
    assert await references.is_any_reached() is False
    assert len(network.asked) == 2

    network.answers = {"a": THERE, "b": THERE}
    clock.now_s += FRESH_S
    assert await references.is_any_reached() is True
    assert len(network.asked) == 4


async def test_who_waits_may_be_broken_off_and_the_others_still_hear():
    network = Network(a=GONE)
    references = References(URLS, network, clock=Clock())
    first = asyncio.create_task(references.is_any_reached())
    second = asyncio.create_task(references.is_any_reached())
    await asyncio.sleep(0)

    first.cancel()
    network.answers["b"] = THERE
    await asyncio.wait({first, second}, timeout=LIMIT_S + 2)

    assert first.cancelled()
    assert second.done()


async def test_an_engine_that_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("argos.agent.references.LIMIT_S", 0.05)
    references = References(URLS, Network(), clock=Clock())

    assert await references.is_any_reached() is False


def report_of(answers) -> list[AgentResult]:
    """What an agent reports of three websites, with two references."""

    async def answer(probe):
        await asyncio.sleep(0.1)
        host = probe.url.split("/")[2].split(".")[0]
        return answers.get(host, answers["website"])

    async def scenario(loop: VirtualTimeLoop) -> MemoryServer:
        server = MemoryServer(loop)
        server.hand_out(make_tasks(3))
        await Agent(loop, server, MemoryEngine(answer), references=URLS).work(20.0)
        return server

    return run_virtual(scenario).results


def test_f28_a_failure_is_doubted_while_no_reference_answers():
    results = report_of({"website": GONE, "a": GONE, "b": GONE})

    assert [result.context.get(DOUBT) for result in results] == [CUT_OFF] * 3


def test_a_failure_counts_when_a_reference_answers():
    results = report_of({"website": GONE, "a": GONE, "b": THERE})

    assert len(results) == 3
    assert not any(DOUBT in result.context for result in results)


def test_references_are_not_asked_while_all_is_well():
    fine = ProbeResponse(status_code=200)

    results = report_of({"website": fine, "a": GONE, "b": GONE})

    assert [result.status for result in results] == [Status.SUCCESS] * 3
