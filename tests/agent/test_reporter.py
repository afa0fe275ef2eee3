"""Results reach the server once it is there, whatever happens in between."""

import asyncio
import json
import logging
import random
import shutil
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from argos.agent.backoff import Backoff
from argos.agent.reporter import (
    COURIERS,
    ENOUGH_RESULTS,
    MAX_BATCH_BYTES,
    MAX_QUEUED_RESULTS,
    Reporter,
)
from argos.agent.spool import Spool
from argos.core.severity import Status
from argos.errors import ReportRefused, ServerError, ServerUnreachable, TokenRefused
from argos.protocol import AgentResult, Refusal, ReportAnswer
from tests.agent.doubles import MemoryServer, run_inline, run_virtual
from tests.simulator.virtual_time import START, VirtualClock, VirtualTimeLoop

AWAY = ServerUnreachable("server.example cannot be reached", is_unprocessed=True)
SILENT = ServerUnreachable("server.example does not answer")


def results(count: int, *, first: int = 0, size: int = 0) -> list[bytes]:
    template = AgentResult(task_id=0, status=Status.SUCCESS, context={"a": "x" * size})
    return [
        template.model_copy(update={"task_id": n}).model_dump_json().encode()
        for n in range(first, first + count)
    ]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool")
    spool.open()
    yield spool
    spool.close()


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


# Batches


def test_results_that_come_together_are_reported_together() -> None:
    async def scenario(
        _: VirtualTimeLoop, __: MemoryServer, reporter: Reporter
    ) -> None:
        for n in range(20):
            reporter.add(results(1, first=n))
            await asyncio.sleep(0.01)
        await asyncio.sleep(1)

    server, _ = play(scenario)

    [(moment, report)] = server.reports
    assert moment == pytest.approx(0.25, abs=0.01)
    assert [result.task_id for result in report] == list(range(20))


@pytest.mark.parametrize(("is_legacy", "limit"), [(False, 500), (True, 300)])
def test_a_full_batch_does_not_wait(is_legacy: bool, limit: int) -> None:
    async def scenario(
        _: VirtualTimeLoop, __: MemoryServer, reporter: Reporter
    ) -> None:
        reporter.add(results(1100))
        await asyncio.sleep(1)

    server, _ = play(scenario, is_legacy=is_legacy)

    sizes = [len(report) for _, report in server.reports]
    assert sizes[0] == limit
    assert max(sizes) == limit
    assert server.reports[0][0] < 0.01
    assert server.reported_ids == list(range(1100))


def test_a_report_fits_through_a_proxy() -> None:
    sizes = []

    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        def measure(payloads: Sequence[bytes]) -> None:
            sizes.append(len(b",".join(payloads)) + 2)

        server.report_error = measure
        reporter.add(results(60, size=50_000))
        await asyncio.sleep(5)

    server, _ = play(scenario)

    assert len(server.results) == 60
    assert max(sizes) <= MAX_BATCH_BYTES + 2


def test_a_slow_server_gets_several_reports_at_once() -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_s = 1.0
        reporter.add(results(3000))
        await asyncio.sleep(1.5)

    server, _ = play(scenario)

    assert sorted(server.reported_ids) == list(range(3000))
    assert len(server.reports) == COURIERS


def test_an_old_server_gets_one_report_after_the_other() -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_s = 1.0
        reporter.add(results(900))
        await asyncio.sleep(5)

    server, _ = play(scenario, is_legacy=True)

    assert [moment for moment, _ in server.reports] == pytest.approx([1, 2, 3], abs=0.1)
    assert server.reported_ids == list(range(900))


def test_reports_under_way_are_saved_when_the_reporter_is_cancelled(
    spool: Spool,
) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_s = 1.0
        reporter.add(results(1200))
        await asyncio.sleep(0.5)

    _, reporter = play(scenario, spool)
    assert reporter.waiting == 1200

    run_virtual(lambda _: reporter.save())

    assert spool.waiting == 1200


def test_there_is_room_again_once_the_server_has_taken_enough() -> None:
    rooms: list[bool] = []

    async def scenario(
        loop: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_s = 1.0
        reporter.add(results(ENOUGH_RESULTS + 100))
        rooms.append(reporter.has_room)
        await reporter.wait_for_room()
        rooms.append(reporter.has_room)
        assert loop.time() == pytest.approx(1.0, abs=0.1)

    play(scenario)

    assert rooms == [False, True]


# The server is away


def test_results_wait_on_disk_and_are_delivered_once_in_order(spool: Spool) -> None:
    async def scenario(
        loop: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(AWAY)
        for n in range(100):
            reporter.add(results(10, first=n * 10))
            await asyncio.sleep(1)
        assert reporter.waiting == spool.waiting == 1000
        server.report_error = always(None)
        await asyncio.sleep(20)

    server, reporter = play(scenario, spool)

    assert server.reported_ids == list(range(1000))
    assert reporter.waiting == 0


def test_a_server_that_is_away_is_tried_ever_more_rarely(spool: Spool) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(AWAY)
        for n in range(600):
            reporter.add(results(1, first=n))
            await asyncio.sleep(1)

    server, _ = play(scenario, spool)

    assert 60 <= len(server.attempts) <= 130


def test_a_refused_token_is_tried_once_a_minute_and_costs_nothing(
    spool: Spool,
) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(TokenRefused("token", is_unprocessed=True))
        reporter.add(results(3))
        await asyncio.sleep(3600)
        server.report_error = always(None)
        await asyncio.sleep(61)

    server, _ = play(scenario, spool)

    assert server.reported_ids == [0, 1, 2]
    assert 60 <= len(server.attempts) <= 130


def test_a_long_queue_on_disk_does_not_hold_up_what_is_new(spool: Spool) -> None:
    async def scenario(
        loop: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(AWAY)
        reporter.add(results(1))
        await asyncio.sleep(1)
        for _n in range(20):
            spool.append(
                [b'{"task_id":7,"status":"success","context":{}}'] * 500, now=START
            )
        server.report_error = always(None)
        await asyncio.sleep(max(0.0, reporter._retry_at - loop.time()) + 0.3)
        assert server.reports
        reporter.add(results(1, first=999))
        await asyncio.sleep(0.5)
        assert 999 in server.reported_ids
        assert reporter.waiting > 5_000
        await asyncio.sleep(10)

    server, reporter = play(scenario, spool)

    assert len(server.results) == 10_002
    assert reporter.waiting == 0
    busiest = max(
        sum(len(report) for at, report in server.reports if second <= at < second + 1)
        for second in range(20)
    )
    assert busiest <= 2_600


def test_what_waits_on_disk_is_delivered_after_a_restart(spool: Spool) -> None:
    async def before(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(AWAY)
        reporter.add(results(5))
        await asyncio.sleep(1)

    async def after(_: VirtualTimeLoop, __: MemoryServer, reporter: Reporter) -> None:
        await asyncio.sleep(1)

    play(before, spool)
    server, _ = play(after, spool)

    assert server.reported_ids == [0, 1, 2, 3, 4]


def test_a_report_that_hangs_is_copied_to_the_disk_meanwhile(spool: Spool) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_s = 20.0
        reporter.add(results(4))
        await asyncio.sleep(1.5)
        assert spool.waiting == 0
        await asyncio.sleep(1.5)
        assert spool.waiting == 4
        await asyncio.sleep(30)

    server, reporter = play(scenario, spool)

    assert server.reported_ids == [0, 1, 2, 3]
    assert reporter.waiting == 0


def test_a_report_without_an_answer_is_repeated_from_the_disk(spool: Spool) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_s = 20.0
        server.report_error = always(SILENT)
        reporter.add(results(4))
        await asyncio.sleep(10)
        server.report_error = always(None)
        await asyncio.sleep(60)

    server, _ = play(scenario, spool)

    assert server.reported_ids == [0, 1, 2, 3]


def test_what_is_not_delivered_at_the_end_is_saved(spool: Spool) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_s = 100.0
        reporter.add(results(500))
        reporter.add(results(20, first=500))
        await asyncio.sleep(1)

    _, reporter = play(scenario, spool)
    run_virtual(lambda _: reporter.save())

    batch = spool.peek(limit=1000, limit_bytes=10**7, now=START)
    assert batch is not None
    ids = [json.loads(payload)["task_id"] for payload in batch.payloads]
    assert ids == list(range(520))


# No disk


def test_without_a_disk_results_wait_in_memory() -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(AWAY)
        reporter.add(results(700))
        await asyncio.sleep(100)
        assert reporter.waiting == 700
        server.report_error = always(None)
        await asyncio.sleep(15)

    server, _ = play(scenario)

    assert sorted(server.reported_ids) == list(range(700))
    assert len(server.attempts) < 40


def test_memory_is_bounded_and_the_loss_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(AWAY)
        reporter.add(results(MAX_QUEUED_RESULTS + 5))
        await asyncio.sleep(1)

    _, reporter = play(scenario)

    assert reporter.lost == 5
    assert "5 results are lost by now" in caplog.text


def test_a_disk_that_fails_is_told_and_memory_takes_over(
    spool: Spool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        shutil.rmtree(tmp_path / "spool")
        server.report_error = always(AWAY)
        reporter.add(results(3))
        await asyncio.sleep(30)
        server.report_error = always(None)
        await asyncio.sleep(15)

    server, _ = play(scenario, spool)

    assert server.reported_ids == [0, 1, 2]
    assert "Cannot write to the spool" in caplog.text


def test_a_disk_that_cannot_be_read_is_tried_again(
    spool: Spool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(AWAY)
        reporter.add(results(3))
        await asyncio.sleep(0.3)
        [segment] = (tmp_path / "spool").glob("*.spool")
        content = segment.read_bytes()
        segment.unlink()
        segment.mkdir()
        server.report_error = always(None)
        await asyncio.sleep(30)
        segment.rmdir()
        segment.write_bytes(content)
        await asyncio.sleep(15)

    server, _ = play(scenario, spool)

    assert server.reported_ids == [0, 1, 2]
    assert "Cannot read the spool" in caplog.text


def test_results_that_cannot_be_saved_at_the_end_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(AWAY)
        reporter.add(results(3))
        await asyncio.sleep(10)

    _, reporter = play(scenario)
    run_virtual(lambda _: reporter.save())

    assert "3 results are lost: they could not be saved" in caplog.text


@pytest.mark.parametrize("has_spool", [True, False])
def test_a_bug_of_ours_costs_no_result(
    spool: Spool, has_spool: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(ZeroDivisionError("a bug"))
        reporter.add(results(3))
        await asyncio.sleep(40)
        server.report_error = always(None)
        await asyncio.sleep(15)

    server, _ = play(scenario, spool if has_spool else None)

    assert server.reported_ids == [0, 1, 2]
    assert "Could not report 3 results" in caplog.text
    assert ("Could not report spooled results" in caplog.text) is has_spool


# Refusals


def test_one_result_that_the_server_chokes_on_costs_no_other(spool: Spool) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        def refuse(payloads: Sequence[bytes]) -> Exception | None:
            ids = {json.loads(payload)["task_id"] for payload in payloads}
            return ReportRefused("422", is_unprocessed=True) if 77 in ids else None

        server.report_error = refuse
        reporter.add(results(200))
        await asyncio.sleep(5)

    server, reporter = play(scenario, spool)

    assert server.reported_ids == [n for n in range(200) if n != 77]
    assert reporter.lost == 1
    assert spool.waiting == 0


def test_what_the_server_refuses_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        async def refuse(payloads: Sequence[bytes]) -> ReportAnswer:  # noqa: RUF029  # as servers are
            refused = [
                Refusal(index=n, task_id=n, reason="There is no such task.")
                for n in range(len(payloads))
            ]
            return ReportAnswer(result_ids=[], refused=refused)

        server.report = refuse  # type: ignore[method-assign]  # it refuses all
        reporter.add(results(9))
        await asyncio.sleep(1)

    play(scenario)

    assert (
        "The server refused a result of task 0: There is no such task." in caplog.text
    )
    assert "The server refused 9 results in all" in caplog.text


# A server of 0.10.3


def test_an_old_server_gets_nothing_twice(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(ServerError("500"))
        reporter.add(results(4))
        await asyncio.sleep(60)

    server, reporter = play(scenario, spool, is_legacy=True)

    assert len(server.attempts) == 1
    assert reporter.lost == 4
    assert "4 results may be lost" in caplog.text


def test_an_old_server_gets_later_what_it_surely_did_not_get(spool: Spool) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(AWAY)
        reporter.add(results(4))
        await asyncio.sleep(30)
        server.report_error = always(None)
        await asyncio.sleep(15)

    server, _ = play(scenario, spool, is_legacy=True)

    assert server.reported_ids == [0, 1, 2, 3]


def test_an_old_server_gets_no_old_results(
    spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(AWAY)
        reporter.add(results(4))
        await asyncio.sleep(120)
        reporter.add(results(1, first=100))
        await asyncio.sleep(1)
        server.report_error = always(None)
        await asyncio.sleep(15)

    with caplog.at_level(logging.WARNING):
        server, _ = play(scenario, spool, is_legacy=True)

    assert server.reported_ids == [100]
    assert "4 were dropped as too old" in caplog.text


def test_the_age_limit_of_the_spool_holds_for_every_server(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_age=timedelta(minutes=1))
    spool.open()

    async def scenario(
        _: VirtualTimeLoop, server: MemoryServer, reporter: Reporter
    ) -> None:
        server.report_error = always(AWAY)
        reporter.add(results(4))
        await asyncio.sleep(120)
        server.report_error = always(None)
        await asyncio.sleep(15)

    server, _ = play(scenario, spool)

    assert server.results == []
    assert spool.dropped == 4
    spool.close()
