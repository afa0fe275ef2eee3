"""Results wait while the server is away: on disk, and in memory where there is none."""

import asyncio
import json
import logging
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from argos.agent.reporter import (
    MAX_QUEUED_RESULTS,
    Reporter,
)
from argos.agent.spool import Spool
from argos.errors import ServerError, TokenRefused
from tests.agent.doubles import MemoryServer, run_virtual
from tests.agent.reporting import AWAY, SILENT, always, play, results
from tests.simulator.virtual_time import START, VirtualTimeLoop

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
