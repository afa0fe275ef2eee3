"""POST /api/results and /api/tasks/release: what any agent may send, and what it gets."""

import json
import threading
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from argos.clock import utcnow
from argos.core.severity import Severity
from argos.protocol import MAX_CONTEXT_BYTES, MAX_REPORT_BYTES, MAX_REPORT_ITEMS
from argos.server.models import Agent, Result, Schedule, Task
from tests.server.factories import add_group, add_groups


@pytest.fixture
def tasks(agent_client: TestClient, database) -> list[dict[str, Any]]:
    """Three tasks, leased by our agent anna."""
    with database.transaction() as session:
        add_groups(session, 3, due_at=utcnow())
    params = {"agent_id": "anna", "capabilities": "ipv6"}
    leased: list[dict[str, Any]] = agent_client.get("/api/tasks", params=params).json()
    return leased


def measured(task: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "task_id": task["id"],
        "status": "success",
        "context": {},
        "lease_no": task["lease_no"],
        "leased_at": task["leased_at"],
        "elapsed_us": 1000,
        **changes,
    }


def post(client: TestClient, items: Any, agent: str = "anna") -> Any:
    content = items if isinstance(items, bytes) else json.dumps(items)
    return client.post("/api/results", params={"agent_id": agent}, content=content)


def results(database) -> list[Result]:
    with database.reading() as session:
        return list(session.scalars(select(Result).order_by(Result.id)))


def test_results_are_acknowledged_with_their_ids(agent_client, database, tasks):
    answer = post(agent_client, [measured(task) for task in tasks])

    stored = results(database)
    assert answer.status_code == 201
    assert answer.headers["Argos-Protocol"] == "2"
    assert answer.json() == {
        "result_ids": [result.id for result in stored],
        "refused": [],
    }


def test_empty_report_is_acknowledged(agent_client):
    answer = post(agent_client, [])

    assert (answer.status_code, answer.json()["result_ids"]) == (201, [])


def test_report_of_an_agent_of_0_10_3_is_taken_over(agent_client, database):
    with database.transaction() as session:
        add_group(session, "a", due_at=utcnow())
    (task,) = agent_client.get("/api/tasks", params={"agent_id": "old"}).json()

    answer = post(
        agent_client,
        [{"task_id": task["id"], "status": "failure", "context": {}, "more": 1}],
        agent="old",
    )

    assert answer.status_code == 201
    with database.reading() as session:
        assert session.scalars(select(Task)).one().severity is Severity.CRITICAL


def test_unknown_task_is_skipped_and_logged(agent_client, database, tasks, caplog):
    answer = post(agent_client, [{"task_id": 999, "status": "success", "context": {}}])

    assert answer.status_code == 201
    assert answer.json()["result_ids"] == []
    assert "task 999 was refused: There is no such task." in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b'"text"',
        b"[",
        b"\xff\xfe[]",
        b"[" * 100_000,
        b'[{"task_id": 1}',
    ],
    ids=["empty", "object", "null", "text", "cut", "not UTF-8", "deep", "cut item"],
)
def test_body_that_is_no_list_is_refused(agent_client, body):
    answer = post(agent_client, body)

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body"]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("null", "item: Input should be"),
        ("[]", "item: Input should be"),
        ("{}", "task_id: Field required"),
        ('{"task_id":1,"status":"fine","context":{}}', "status: Input should be"),
        ('{"task_id":1,"status":"success"}', "context: Field required"),
        ('{"task_id":1,"status":"success","context":[]}', "context: Input should be"),
        ('{"task_id":"x","status":"success","context":{}}', "task_id: Input should"),
        ('{"task_id":1e999,"status":"success","context":{}}', "task_id: Input should"),
        ('{"task_id":NaN,"status":"success","context":{}}', "task_id: Input should"),
        ('{"task_id":0,"status":"success","context":{}}', "There is no such task."),
        ('{"task_id":-1,"status":"success","context":{}}', "There is no such task."),
        (
            f'{{"task_id":{10**30},"status":"success","context":{{}}}}',
            "There is no such task.",
        ),
        (
            f'{{"task_id":{"9" * 5000},"status":"success","context":{{}}}}',
            "task_id: ",
        ),
        (
            '{"task_id":1,"status":"success","context":{"a":'
            + "[" * 40
            + "]" * 40
            + "}}",
            "context: it nests deeper than 32 levels.",
        ),
        (
            '{"task_id":1,"status":"success","context":{},"elapsed_us":-1}',
            "elapsed_us: Input should",
        ),
        (
            '{"task_id":1,"status":"success","context":{},"timings":{"dns_us":1e10}}',
            "timings.dns_us: Input should",
        ),
        (
            '{"task_id":1,"status":"success","context":{},"leased_at":"soon"}',
            "leased_at: Input should",
        ),
        (
            '{"task_id":1,"status":"success","context":{},"lease_no":99999999999}',
            "This lease was never given out.",
        ),
    ],
    ids=lambda value: value[:40],
)
def test_bad_item_is_refused_and_the_others_are_stored(
    agent_client, database, tasks, item, reason
):
    first, second, _ = tasks
    body = f"[{json.dumps(measured(first))},{item},{json.dumps(measured(second))}]"

    answer = post(agent_client, body.encode())

    assert answer.status_code == 201
    (refusal,) = answer.json()["refused"]
    assert refusal["index"] == 1
    assert refusal["reason"].startswith(reason)
    assert len(answer.json()["result_ids"]) == 2
    assert len(results(database)) == 2


@pytest.mark.parametrize(
    ("context", "stored"),
    [
        (r'{"a":"x\u0000y"}', {"a": "x\\u0000y"}),
        (r'{"a":"\ud800"}', {"a": "\\ud800"}),
        (r'{"\u0000":{"\udfff":1}}', {"\\u0000": {"\\udfff": 1}}),
        (r'{"a":"\ud83d\ude00é"}', {"a": "😀é"}),
        (r'{"a":"one\ntwo\tthree\r"}', {"a": "one\ntwo\tthree\\u000d"}),
        (r'{"a":"\u202eevil\u001b[31m"}', {"a": "\\u202eevil\\u001b[31m"}),
        (r'{"a":"literal \\u0000"}', {"a": "literal \\u0000"}),
        ('{"a":NaN,"b":[Infinity,-Infinity,1e999]}', {"a": "nan", "b": ["inf", "-inf", "inf"]}),
        ('{"a":123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        ('{"a":' + "9" * 5000 + "}", {"a": "9" * 5000}),
        ('{"config":1,"result":2,"cls":3,"self":4}', {"config": 1, "result": 2, "cls": 3, "self": 4}),
        ('{"a":1,"a":2}', {"a": 2}),
        ('{"a":' + "[" * 30 + "]" * 30 + "}", None),
    ],
    ids=[
        "NUL", "surrogate", "keys", "emoji", "lines", "bidi and escape", "backslash",
        "no numbers", "big number", "huge number", "reserved names", "repeated key",
        "nested",
    ],
)  # fmt: skip
def test_any_context_is_stored_so_that_it_can_be_shown(
    agent_client, database, tasks, context, stored
):
    item = json.dumps(measured(tasks[0])).replace(
        '"context": {}', f'"context":{context}'
    )

    answer = post(agent_client, f"[{item}]".encode())

    assert answer.json()["refused"] == []
    (result,) = results(database)
    assert result.context == (json.loads(context) if stored is None else stored)


def test_long_context_is_cut_and_marked(agent_client, database, tasks):
    context = {"reason": "short", "body": "é" * 100_000, "status": 500}

    post(agent_client, [measured(tasks[0], context=context)])

    (result,) = results(database)
    assert set(result.context) == {"reason", "body", "status", "truncated"}
    assert result.context["reason"] == "short"
    assert result.context["status"] == 500
    assert result.context["body"].startswith("ééé")
    assert result.context["truncated"] > 600_000
    assert len(json.dumps(result.context)) <= MAX_CONTEXT_BYTES


def test_body_beyond_the_cap_is_refused_unread(agent_client):
    answer = post(agent_client, b" " * (MAX_REPORT_BYTES + 1))

    assert answer.status_code == 413
    assert "split it" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/api/results", "/api/tasks/release"])
def test_streamed_body_beyond_the_cap_is_refused(agent_client, path):
    chunks = (b" " * 1024 * 1024 for _ in range(9))

    answer = agent_client.post(path, content=chunks)

    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path", ["/login", "/api/app/silences", "/api/tasks/release", "/api/app/nothing"]
)
def test_nobody_makes_the_server_read_without_end(client, path):
    answer = client.post(path, content=b" " * (MAX_REPORT_BYTES + 1))

    assert answer.status_code == 413
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_report_of_too_many_items_is_refused(agent_client):
    answer = post(agent_client, [0] * (MAX_REPORT_ITEMS + 1))

    assert answer.status_code == 413
    assert answer.json() == {
        "detail": f"A report has {MAX_REPORT_ITEMS} results at most; split it."
    }


def test_many_refused_results_are_few_lines_of_the_log(agent_client, caplog):
    answer = post(agent_client, [0] * 1_000)

    lines = [each for each in caplog.messages if "results of agent" in each]
    assert len(answer.json()["refused"]) == 1_000
    assert len([each for each in caplog.messages if "was refused" in each]) == 20
    assert lines == ["So were 980 more results of agent anna."]


def test_moment_beyond_the_calendar_is_refused_and_the_rest_kept(
    agent_client, database, tasks
):
    odd = measured(tasks[0], leased_at="9999-12-31T23:59:59Z", elapsed_us=10**12)

    answer = post(agent_client, [odd, measured(tasks[1])])

    assert answer.status_code == 201
    assert [each["reason"] for each in answer.json()["refused"]] == [
        "It was measured in the future."
    ]
    assert [result.task_id for result in results(database)] == [tasks[1]["id"]]


@pytest.mark.parametrize("body", ['"\\ud800"', "[NaN]", '[{"group_id": "\\udfff"}]'])
def test_what_no_json_can_say_is_refused_without_repeating_it(agent_client, body):
    answer = agent_client.post(
        "/api/tasks/release", content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 422
    assert {frozenset(fault) for fault in answer.json()["detail"]} == {
        frozenset({"type", "loc", "msg"})
    }


def test_posting_counts_as_a_sign_of_life(agent_client, database, tasks):
    post(agent_client, [measured(task) for task in tasks], agent="bert")

    with database.reading() as session:
        names = set(session.scalars(select(Agent.name)))
    assert names == {"anna", "bert"}


def test_same_report_posted_at_once_counts_once(agent_client, database, tasks):
    items = [measured(task) for task in tasks]
    answers: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(post(agent_client, items).json())
        )
        for _ in range(5)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({tuple(answer["result_ids"]) for answer in answers}) == 1
    assert len(results(database)) == 3


def test_leases_are_released_for_others(agent_client, database, tasks):
    held = [
        {"group_id": task["group_id"], "lease_no": task["lease_no"]} for task in tasks
    ]

    answer = agent_client.post(
        "/api/tasks/release", params={"agent_id": "anna"}, json=held[:2]
    )
    again = agent_client.get("/api/tasks", params={"agent_id": "bert"}).json()

    assert answer.status_code == 200
    assert sorted(answer.json()["group_ids"]) == sorted(
        lease["group_id"] for lease in held[:2]
    )
    assert {task["id"] for task in again} == {task["id"] for task in tasks[:2]}


def test_leases_of_others_are_not_released(agent_client, database, tasks):
    held = [{"group_id": tasks[0]["group_id"], "lease_no": tasks[0]["lease_no"]}]

    answer = agent_client.post(
        "/api/tasks/release", params={"agent_id": "bert"}, json=held
    )

    assert answer.json() == {"group_ids": []}
    with database.reading() as session:
        assert all(row.leased_at for row in session.scalars(select(Schedule)))


@pytest.mark.parametrize(
    "body",
    [
        {},
        [{"group_id": 1}],
        ["x"],
        None,
        [{"group_id": 2**80, "lease_no": 1}],
        [{"group_id": 1, "lease_no": 2**40}],
    ],
    ids=str,
)
def test_bad_release_is_refused(agent_client, body):
    answer = agent_client.post("/api/tasks/release", json=body)

    assert answer.status_code == 422
