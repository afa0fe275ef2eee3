"""The verdict over all addresses, and what is told of the way."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from argos.agent.judging import judge_tasks
from argos.checks import ResponseTime, Verdict
from argos.core.probe import (
    NO_DETAILS,
    Certificate,
    ChainCertificate,
    Details,
    FailureKind,
    Outcome,
    ProbeFailure,
    ProbeResponse,
    Timings,
)
from argos.core.severity import Status
from argos.protocol import Task

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def judge(task: Task, outcome: Outcome, *, now: datetime) -> Verdict:
    (judged,) = judge_tasks([task], outcome, now=now)
    return judged[1]


def make_task(check: str, expected: str, **more: Any) -> Task:
    values: dict[str, Any] = {
        "id": 1,
        "url": "https://shop.example/",
        "domain": "https://shop.example/",
        "ip_version": "4",
        "check": check,
        "method": "GET",
        "request_data": None,
        "expected": expected,
        "task_group": "",
        **more,
    }
    return Task(**values)


def answer(address: str, status: int = 200, **more: Any) -> ProbeResponse:
    return ProbeResponse(status, remote_address=address, **more)


def of_all(*outcomes: Any) -> ProbeResponse:
    details = Details(by_address=outcomes, addresses=("192.0.2.1", "192.0.2.2"))
    return answer("192.0.2.1", details=details)


HEADERS = (("content-type", "text/html"), ("server", "nginx"))
SILENT = [
    ("status-is", "200", "404"),
    ("headers-contain", '["Server"]', '["Server", "etag"]'),
    ("headers-have", '{"Server": "nginx"}', '{"etag": null}'),
]


@pytest.mark.parametrize(("check", "good", "bad"), SILENT)
def test_our_server_hears_nothing_that_it_would_not_keep(check, good, bad):
    outcome = answer("192.0.2.1", headers=HEADERS)

    success = judge(make_task(check, good, lease_no=1), outcome, now=NOW)
    failure = judge(make_task(check, bad, lease_no=1), outcome, now=NOW)

    assert success == Verdict(Status.SUCCESS)
    assert failure.status is Status.FAILURE
    assert failure.facts.keys() >= {"expected", "retrieved", "reason", "address"}


@pytest.mark.parametrize(("check", "good"), [row[:2] for row in SILENT])
@pytest.mark.parametrize(
    ("lease_no", "details"),
    [(None, NO_DETAILS), (1, Details(hops=("https://a.example/",)))],
    ids=["server of 0.10.3", "after a redirect"],
)
def test_others_hear_all_of_a_success(check, good, lease_no, details):
    outcome = answer("192.0.2.1", headers=HEADERS, details=details)

    verdict = judge(make_task(check, good, lease_no=lease_no), outcome, now=NOW)

    assert verdict.status is Status.SUCCESS
    assert verdict.facts.keys() >= {"expected", "retrieved"}


def test_the_worst_address_counts_and_is_named():
    sick = answer("192.0.2.2", 500)
    gone = ProbeFailure(FailureKind.CONNECT, "No.", remote_address="192.0.2.3")
    task = make_task("status-is", "200")

    one = judge(task, of_all(answer("192.0.2.1"), sick), now=NOW)
    two = judge(task, of_all(gone, answer("192.0.2.1")), now=NOW)
    none = judge(task, of_all(answer("192.0.2.1"), answer("192.0.2.4")), now=NOW)

    assert one.status is Status.FAILURE
    assert one.facts["address"] == "192.0.2.2"
    assert one.facts["retrieved"] == 500
    assert one.facts["addresses"] == "192.0.2.1: success, 192.0.2.2: failure"
    assert two.facts["address"] == "192.0.2.3"
    assert two.facts["error_type"] == "connect"
    assert none.status is Status.SUCCESS


def test_of_what_the_server_judges_the_worst_goes_there():
    def until(address: str, days: int) -> ProbeResponse:
        end = NOW + timedelta(days=days)
        certificate = Certificate(NOW, end, "CN = a", "CN = b")
        return answer(address, certificate=certificate)

    outcome = of_all(until("192.0.2.1", 60), until("192.0.2.2", 3))
    verdict = judge(
        make_task("ssl-certificate-expiration", "on-check"), outcome, now=NOW
    )
    assert verdict.status is Status.ON_CHECK
    assert verdict.facts["expires_in"] == 3
    assert verdict.facts["address"] == "192.0.2.2"

    slow_limit = ResponseTime.encode_expected(500)
    slow = answer("192.0.2.2", timings=Timings(total_us=900_000))
    quick = answer("192.0.2.1", timings=Timings(total_us=100_000))
    verdict = judge(
        make_task("response-time", slow_limit), of_all(slow, quick), now=NOW
    )
    assert verdict.facts["elapsed_ms"] == 900.0


def test_several_addresses_are_told_of_problems_only():
    task = make_task("status-is", "200")
    details = Details(addresses=("192.0.2.1", "192.0.2.2"))

    good = judge(task, answer("192.0.2.1", details=details), now=NOW)
    bad = judge(task, answer("192.0.2.1", 404, details=details), now=NOW)

    assert "addresses" not in good.facts
    assert bad.facts["addresses"] == "192.0.2.1, 192.0.2.2"
    assert bad.facts["address"] == "192.0.2.1"


def test_redirects_are_told_with_their_end():
    details = Details(hops=("https://a.example/", "https://b.example/"))

    verdict = judge(
        make_task("status-is", "200"), replace(answer("::1"), details=details), now=NOW
    )

    assert verdict.facts["hops"] == 2
    assert verdict.facts["final_url"] == "https://b.example/"


def misdated(*, ends: timedelta, chain_ends: timedelta, code: int) -> ProbeFailure:
    link = ChainCertificate(NOW + chain_ends, "CN=ca", "CN=root")
    certificate = Certificate(
        *(NOW - timedelta(days=30), NOW + ends, "CN=site", "CN=ca"),
        fault="expired 3 days ago",
        fault_code=code,
        chain=(link,),
    )
    return ProbeFailure(
        FailureKind.CERTIFICATE,
        "The certificate is not accepted: expired 3 days ago.",
        certificate=certificate,
    )


@pytest.mark.parametrize(
    ("ends", "chain_ends", "code", "status"),
    [
        (9, 9, 10, Status.ERROR),
        (9, 9, 9, Status.ERROR),
        (9, 9, 18, Status.FAILURE),
        (-1, 9, 10, Status.FAILURE),
        (9, -1, 10, Status.FAILURE),
    ],
)
@pytest.mark.parametrize("is_of_all", [False, True])
def test_dates_that_only_the_agents_clock_finds_wrong_are_no_fault_of_the_website(
    ends, chain_ends, code, status, is_of_all
):
    outcome: Outcome = misdated(
        ends=timedelta(days=ends), chain_ends=timedelta(days=chain_ends), code=code
    )
    if is_of_all:
        outcome = of_all(outcome, outcome)
    verdict = judge(make_task("status-is", "200"), outcome, now=NOW)

    assert verdict.status is status
    is_excused = "clock of this agent" in verdict.facts["error_message"]
    assert is_excused is (status is Status.ERROR)


def test_expiry_is_not_judged_by_a_clock_that_is_wrong():
    day = timedelta(days=1)
    outcome = misdated(ends=9 * day, chain_ends=9 * day, code=10)
    task = make_task("ssl-certificate-expiration", "on-check")

    assert judge(task, outcome, now=NOW).status is Status.ERROR
    assert judge(task, outcome, now=NOW + 10 * day).status is Status.ON_CHECK
