"""Results are reported in batches, and what becomes of those that are refused."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from argos.agent.reporter import (
    COURIERS,
    ENOUGH_RESULTS,
    MAX_BATCH_BYTES,
    Reporter,
)
from argos.agent.spool import Spool
from argos.errors import ReportRefused
from argos.protocol import Refusal, ReportAnswer
from tests.agent.doubles import MemoryServer, run_virtual
from tests.agent.reporting import always, play, results
from tests.simulator.virtual_time import VirtualTimeLoop

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


def test_a_batch_that_becomes_full_waits_no_longer() -> None:
    async def scenario(
        _: VirtualTimeLoop, __: MemoryServer, reporter: Reporter
    ) -> None:
        for n in range(10):
            reporter.add(results(50, first=n * 50))
            await asyncio.sleep(0.01)
        await asyncio.sleep(1)

    server, _ = play(scenario)

    [(moment, report)] = server.reports
    assert moment == pytest.approx(0.09, abs=0.005)
    assert len(report) == 500


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
