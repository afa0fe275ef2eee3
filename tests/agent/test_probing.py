"""From leased tasks to probes, and from verdicts to results."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from argos.agent.judging import describe_error, judge_tasks
from argos.agent.probing import (
    choose_outcome,
    is_quick,
    parse_request_data,
    plan_probes,
    second_look,
)
from argos.core.probe import (
    FailureKind,
    Outcome,
    Probe,
    ProbeFailure,
    ProbeResponse,
    Timings,
)
from argos.core.severity import Status
from argos.protocol import Task

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def make_task(**changes: Any) -> Task:
    fields: dict[str, Any] = {
        "id": 1,
        "url": "https://example.org/",
        "domain": "https://example.org/",
        "ip_version": "4",
        "check": "status-is",
        "method": "GET",
        "request_data": None,
        "expected": "200",
        "task_group": "GET-4-https://example.org/-d41d8cd98f00b204e9800998ecf8427e",
        "group_id": 7,
        "lease_no": 3,
        "leased_at": NOW,
        "timeout_s": 30.0,
    }
    return Task(**{**fields, **changes})


def legacy_task(**changes: Any) -> Task:
    ours = {"group_id": None, "lease_no": None, "leased_at": None, "timeout_s": None}
    return make_task(**{**ours, **changes})


def request_data(data: object, *, is_json: bool = False, headers: object = None) -> str:
    return json.dumps({"data": data, "json": is_json, "headers": headers})


# Grouping


def test_tasks_that_one_request_answers_share_a_probe() -> None:
    tasks = [
        make_task(id=1),
        make_task(id=2, check="body-contains", expected="hello"),
        make_task(id=3, check="ssl-certificate-expiration", expected="on-check"),
    ]

    plan = plan_probes(tasks)

    assert [[task.id for task in group.tasks] for group in plan.groups] == [[1, 2, 3]]
    assert plan.hopeless == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"url": "https://example.org/other"}, id="url"),
        pytest.param({"method": "HEAD"}, id="method"),
        pytest.param({"ip_version": "6"}, id="ip version"),
        pytest.param({"request_data": request_data("x")}, id="request data"),
        pytest.param({"group_id": 8}, id="lease"),
    ],
)
def test_tasks_that_differ_in_the_request_have_probes_of_their_own(
    changes: dict[str, Any],
) -> None:
    plan = plan_probes([make_task(id=1), make_task(id=2, **changes)])

    assert len(plan.groups) == 2


def test_the_same_request_is_the_same_probe_from_lease_to_lease() -> None:
    first, second = (
        plan_probes([
            make_task(id=n, lease_no=n),
            make_task(id=9, check="http-to-https"),
        ])
        for n in (1, 2)
    )

    assert first.groups[0].probe is second.groups[0].probe
    assert first.groups[1].probe is second.groups[1].probe


def test_http_to_https_is_probed_over_http_beside_the_other_checks() -> None:
    tasks = [
        make_task(id=1),
        make_task(id=2, check="http-to-https", expected='{"range": [300, 400]}'),
    ]

    plan = plan_probes(tasks)

    probed = {
        group.probe.url: [task.id for task in group.tasks] for group in plan.groups
    }
    assert probed == {"https://example.org/": [1], "http://example.org/": [2]}


def test_a_probe_carries_what_the_task_asks_for() -> None:
    task = make_task(
        method="POST",
        ip_version="6",
        timeout_s=12.5,
        request_data=request_data({"a": "b"}, headers={"X-Key": "1"}),
    )

    probe = plan_probes([task]).groups[0].probe

    assert (probe.method, probe.ip_version, probe.body) == ("POST", "6", b"a=b")
    assert probe.timeout == timedelta(seconds=12.5)
    assert dict(probe.headers) == {
        "X-Key": "1",
        "Content-Type": "application/x-www-form-urlencoded",
    }


def test_tasks_of_an_old_server_have_a_deadline_within_its_locks() -> None:
    probe = plan_probes([legacy_task()]).groups[0].probe

    assert timedelta(seconds=30) < probe.timeout < timedelta(seconds=61)


@pytest.mark.parametrize(
    ("changes", "error_type"),
    [
        pytest.param({"check": "status-si"}, "CheckNotFound", id="unknown check"),
        pytest.param({"request_data": "{"}, "JSONDecodeError", id="no JSON"),
        pytest.param({"request_data": "[]"}, "ValueError", id="no mapping"),
        pytest.param({"request_data": '{"headers": 1}'}, "ValueError", id="headers"),
    ],
)
def test_a_task_that_cannot_be_probed_is_an_error_and_harms_no_other(
    changes: dict[str, Any], error_type: str
) -> None:
    plan = plan_probes([make_task(id=1, **changes), make_task(id=2)])

    [(task, verdict)] = plan.hopeless
    assert (task.id, verdict.status) == (1, Status.ERROR)
    assert verdict.facts["error_type"] == error_type
    assert [task.id for group in plan.groups for task in group.tasks] == [2]


# Request data


@pytest.mark.parametrize(
    ("text", "headers", "body"),
    [
        (None, {}, None),
        ("{}", {}, None),
        (request_data(None, headers={"A": "b"}), {"A": "b"}, None),
        (
            request_data({"a": "é", "b": [1, True, None]}),
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"a=%C3%A9&b=1&b=true&b=",
        ),
        (
            request_data({"a": {"b": 1}, "c": 1.5}),
            {"Content-Type": "application/x-www-form-urlencoded"},
            b"a=%7B%27b%27%3A+1%7D&c=1.5",
        ),
        (request_data({}), {}, None),
        (request_data("raw é"), {}, "raw é".encode()),
        (
            request_data({"a": "é", "b": [1, True]}, is_json=True),
            {"Content-Type": "application/json"},
            '{"a":"é","b":[1,true]}'.encode(),
        ),
        (
            request_data([1, 2], is_json=True),
            {"Content-Type": "application/json"},
            b"[1,2]",
        ),
        (request_data(0, is_json=True), {"Content-Type": "application/json"}, b"0"),
        (request_data("x", is_json=True), {"Content-Type": "application/json"}, b'"x"'),
        (request_data([1, 2]), {"Content-Type": "application/json"}, b"[1,2]"),
        (request_data(False), {"Content-Type": "application/json"}, b"false"),
        (
            request_data([1], headers={"content-type": "text/x"}),
            {"content-type": "text/x"},
            b"[1]",
        ),
        (request_data(None, headers={"X-N": 5}), {"X-N": "5"}, None),
        (request_data("\ud800"), {}, b"\xed\xa0\x80"),
    ],
    ids=[
        "none",
        "empty",
        "headers only",
        "form",
        "nested form",
        "empty form",
        "text",
        "json mapping",
        "json list",
        "json number",
        "json text",
        "list as a form",
        "boolean as a form",
        "own content type",
        "number as header",
        "lone surrogate",
    ],
)
def test_request_data_becomes_headers_and_body(
    text: str | None, headers: dict[str, str], body: bytes | None
) -> None:
    assert parse_request_data(text) == (headers, body)


# Verdicts


def test_each_task_of_a_group_gets_its_own_verdict() -> None:
    tasks = [make_task(id=1), make_task(id=2, expected="404")]
    group = plan_probes(tasks).groups[0]

    verdicts = judge_tasks(group.tasks, ProbeResponse(status_code=200), now=NOW)

    assert [(task.id, verdict.status) for task, verdict in verdicts] == [
        (1, Status.SUCCESS),
        (2, Status.FAILURE),
    ]


def test_an_unreachable_target_fails_every_task_of_its_group() -> None:
    group = plan_probes([make_task(id=1), make_task(id=2, check="body-like")]).groups[0]
    failure = ProbeFailure(FailureKind.CONNECT, "The connection was refused.")

    verdicts = judge_tasks(group.tasks, failure, now=NOW)

    assert [verdict.status for _, verdict in verdicts] == [Status.FAILURE] * 2
    assert verdicts[0][1].facts["error_message"] == "The connection was refused."


@pytest.mark.parametrize(
    ("check", "body", "expected"),
    [
        ("status-is", b"", True),
        ("status-is", b"x" * 100_000, False),
        ("body-like", b"", False),
        ("headers-like", b"", False),
    ],
)
def test_what_may_take_long_is_judged_off_the_loop(
    check: str, body: bytes, expected: bool
) -> None:
    group = plan_probes([make_task(check=check)]).groups[0]

    assert is_quick(group, ProbeResponse(status_code=200, body=body)) is expected


def test_an_error_without_a_message_is_named_by_its_type() -> None:
    assert describe_error(KeyError()).facts["error_message"] == "KeyError"


# Looking again


def timed_out(total_s: float, error_s: float) -> ProbeFailure:
    timings = Timings(
        total_us=round(total_s * 1e6), timing_error_us=round(error_s * 1e6)
    )
    return ProbeFailure(FailureKind.TIMEOUT, "No answer came.", timings)


def again(outcome: Outcome, *, timeout_s: float = 30.0, elapsed_s: float = 30.0):
    probe = Probe("http://a.example/", timeout=timedelta(seconds=timeout_s))
    return second_look(probe, outcome, elapsed=timedelta(seconds=elapsed_s))


def test_a_timeout_that_a_stall_may_have_caused_is_looked_at_again() -> None:
    probe = again(timed_out(2, 0.2), timeout_s=2, elapsed_s=2)

    assert probe == Probe("http://a.example/", timeout=timedelta(seconds=2))


def test_the_second_look_ends_within_the_lease() -> None:
    probe = again(timed_out(30, 2))

    assert probe is not None
    assert probe.timeout == timedelta(seconds=10)


@pytest.mark.parametrize(
    ("outcome", "elapsed_s"),
    [
        pytest.param(timed_out(30, 1.5), 30, id="the agent did not stall"),
        pytest.param(timed_out(30, 2), 39, id="the lease is nearly over"),
        pytest.param(timed_out(30, 2), 90, id="the lease is over"),
        pytest.param(
            ProbeFailure(FailureKind.TIMEOUT, "Nothing."), 30, id="no time was taken"
        ),
        pytest.param(
            ProbeFailure(FailureKind.CONNECT, "Refused.", timed_out(30, 2).timings),
            30,
            id="another failure",
        ),
        pytest.param(
            ProbeResponse(200, timings=timed_out(30, 2).timings), 30, id="an answer"
        ),
    ],
)
def test_all_else_counts_as_it_is(outcome: Outcome, elapsed_s: float) -> None:
    assert again(outcome, elapsed_s=elapsed_s) is None


def test_the_second_look_counts_unless_it_times_out_too() -> None:
    first, answer = timed_out(30, 2), ProbeResponse(200)
    refused = ProbeFailure(FailureKind.CONNECT, "Refused.")

    assert choose_outcome(first, answer) is answer
    assert choose_outcome(first, refused) is refused
    assert choose_outcome(first, timed_out(10, 0)) is first


def test_a_check_of_the_handshake_has_the_whole_group_listened_to():
    url = "https://shop.example/"
    checks = ["status-is", "ssl-min-version", "ssl-certificate-valid", "response-time"]
    tasks = [
        make_task(id=n, url=url, check=name, group_id=1, lease_no=1)
        for n, name in enumerate(checks)
    ]

    (group,) = plan_probes(tasks).groups

    assert len(group.tasks) == 4
    assert group.probe.wants_handshake
    assert plan_probes(tasks).groups[0].probe is group.probe
    assert not plan_probes(tasks[:1]).groups[0].probe.wants_handshake


def test_an_option_of_a_newer_server_is_an_error_that_says_so():
    task = make_task(options={"retries": 3, "auth": {"bearer": "canary"}})
    other = make_task(id=2)

    plan = plan_probes([task, other])

    [(hopeless, verdict)] = plan.hopeless
    assert hopeless is task
    assert verdict.status is Status.ERROR
    assert verdict.facts["error_message"] == (
        "This agent does not know the probe option retries: it is older than the server."
    )
    assert len(plan.groups) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"url": "https://example.org/other"},
        {"method": "POST"},
        {"ip_version": "6"},
        {"request_data": '{"data": "x"}'},
        {"timeout_s": 5.0},
        {"options": {"follow": 2}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_neighbours_in_a_lease_that_ask_for_anything_else_have_their_own_probe(change):
    usual, other = make_task(id=1), make_task(id=2, **change)

    groups = plan_probes([usual, other, make_task(id=3)]).groups

    assert [[task.id for task in group.tasks] for group in groups] == [[1, 3], [2]]
    assert groups[1].probe == plan_probes([other]).groups[0].probe
    assert groups[0].probe != groups[1].probe
