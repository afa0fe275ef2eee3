"""The agent's calls, over real HTTP on loopback."""

import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import trustme

from argos import VERSION
from argos.agent.client import ClientSettings, LeaseRequest, ServerClient
from argos.errors import (
    NotAnArgosServer,
    ReportRefused,
    ServerError,
    ServerUnreachable,
    TokenRefused,
)
from argos.protocol import HeldLease
from tests.agent.scripted_server import Reply, Respond, ScriptedServer, scripted_server

LEASE = LeaseRequest(
    limit=7,
    wait_s=25,
    ahead_s=0.5,
    slots=100,
    busy=93,
    spooled=2,
    capabilities=("ipv6", "new"),
    clock=datetime(2026, 3, 14, 12, 0, 0, 250_000, tzinfo=UTC),
)
TASK = {
    "id": 1,
    "url": "https://example.org/",
    "domain": "https://example.org/",
    "ip_version": "4",
    "check": "status-is",
    "method": "GET",
    "request_data": None,
    "add_alerts_recipients": None,
    "overwrite_alerts_recipients": None,
    "expected": "200",
    "task_group": "g",
    "retry_before_notification": 0,
    "contiguous_failures": 0,
    "selected_at": "2026-05-01T12:00:00.000001",
    "selected_by": "agent",
}


def answering(body: object, status: int = 200, **headers: str) -> Respond:
    """Always the same answer, as one of our servers gives it."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: Reply(status, content, {"Argos-Protocol": "2", **named})


@asynccontextmanager
async def client_of(url: str, **settings: Any) -> AsyncIterator[ServerClient]:
    client = ServerClient(ClientSettings(url, "s3cret", "agent-1", **settings))
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def talking(
    respond: Respond,
) -> AsyncIterator[tuple[ServerClient, ScriptedServer]]:
    async with scripted_server(respond) as server, client_of(server.url) as client:
        yield client, server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# Leasing


async def test_a_lease_says_who_asks_for_how_much() -> None:
    async with talking(answering([TASK])) as (client, server):
        answer = await client.lease(LEASE)

    [request] = server.requests
    assert (request.method, request.path) == ("GET", "/api/tasks")
    assert request.query == {
        "agent_id": "agent-1",
        "limit": "7",
        "wait": "25",
        "ahead": "0.5",
        "waiting": "0",
        "slots": "100",
        "busy": "93",
        "spooled": "2",
        "version": VERSION,
        "capabilities": "ipv6,new",
        "lean": "1",
        "clock": "1773489600.250",
    }
    assert request.headers["authorization"] == "Bearer s3cret"
    assert request.headers["user-agent"] == f"Argos Panoptes agent {VERSION}"
    assert [task.id for task in answer.tasks] == [1]
    assert not answer.is_legacy


async def test_a_server_without_our_header_is_an_old_one() -> None:
    async with talking(lambda request: Reply(200, b"[]", {})) as (client, _):
        answer = await client.lease(LEASE)

    assert answer.is_legacy
    assert answer.tasks == []


async def test_one_task_that_makes_no_sense_does_not_cost_the_others() -> None:
    odd: list[object] = [{**TASK, "ip_version": 4}, {"id": 3}, None, {**TASK, "id": 4}]
    async with talking(answering(odd)) as (client, _):
        answer = await client.lease(LEASE)

    assert [task.id for task in answer.tasks] == [4]


@pytest.mark.parametrize(
    ("given", "path"),
    [("", "/api/tasks"), ("/", "/api/tasks"), ("/argos/", "/argos/api/tasks")],
)
async def test_the_server_may_live_under_a_path(given: str, path: str) -> None:
    async with (
        scripted_server(answering([])) as server,
        client_of(server.url + given) as client,
    ):
        await client.lease(LEASE)

    assert server.requests[0].path == path


async def test_connections_are_kept_alive() -> None:
    async with talking(answering([])) as (client, server):
        for _ in range(5):
            await client.lease(LEASE)

    assert (len(server.requests), server.connections) == (5, 1)


# What can be wrong with an answer


@pytest.mark.parametrize(
    ("respond", "error", "words"),
    [
        pytest.param(
            answering({"detail": "Unauthorized"}, 401),
            TokenRefused,
            "does not accept this agent's token",
            id="wrong token",
        ),
        pytest.param(
            answering(b"<html>", 200),
            NotAnArgosServer,
            "answers, but is not an Argos server: its answer is not JSON",
            id="a page",
        ),
        pytest.param(
            answering({"a": 1}), NotAnArgosServer, "not a list of tasks", id="a mapping"
        ),
        pytest.param(
            answering(b"[" * 100_000), NotAnArgosServer, "not JSON", id="a deep list"
        ),
        pytest.param(
            answering(b"", 404), NotAnArgosServer, "it answered 404", id="not found"
        ),
        pytest.param(
            answering(b"", 301, location="https://other.example/"),
            NotAnArgosServer,
            "it redirects to https://other.example/",
            id="redirect",
        ),
        pytest.param(
            answering(b"Bad Gateway", 502), ServerError, "answered 502", id="502"
        ),
        pytest.param(answering(b"", 422), NotAnArgosServer, "422", id="refused lease"),
        pytest.param(
            lambda request: Reply(raw=b"SSH-2.0-OpenSSH_9.2\r\n"),
            ServerUnreachable,
            "cannot be reached",
            id="no HTTP",
        ),
        pytest.param(
            lambda request: Reply(raw=b""), ServerUnreachable, "cannot", id="hangs up"
        ),
    ],
)
async def test_a_useless_answer_is_named(
    respond: Respond, error: type[ServerError], words: str
) -> None:
    async with talking(respond) as (client, server):
        with pytest.raises(error, match=words) as caught:
            await client.lease(LEASE)

    assert server.url in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_busy_server_says_when_to_come_back() -> None:
    async with talking(answering(b"", 503, Retry_After="7")) as (client, _):
        with pytest.raises(ServerError) as caught:
            await client.lease(LEASE)

    assert caught.value.retry_after_s == 7
    assert caught.value.is_unprocessed


async def test_an_endless_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("argos.agent.client.MAX_ANSWER_BYTES", 100_000)
    async with talking(answering(b" " * 200_000)) as (client, _):
        with pytest.raises(ServerUnreachable, match="longer than"):
            await client.lease(LEASE)


# Reporting


async def test_results_are_posted_as_they_are() -> None:
    refused = {"index": 1, "task_id": 2, "reason": "no such task"}
    reply = answering({"result_ids": [5], "refused": [refused]}, 201)
    async with talking(reply) as (client, server):
        answer = await client.report([b'{"task_id":1}', b'{"task_id":2}'])

    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/api/results")
    assert request.query == {"agent_id": "agent-1"}
    assert request.headers["content-type"] == "application/json"
    assert request.json() == [{"task_id": 1}, {"task_id": 2}]
    assert answer.result_ids == [5]
    assert answer.refused[0].reason == "no such task"


@pytest.mark.parametrize(
    ("respond", "error", "is_unprocessed"),
    [
        pytest.param(answering(b"", 413), ReportRefused, True, id="too large"),
        pytest.param(answering(b"", 422), ReportRefused, True, id="not understood"),
        pytest.param(answering(b"", 401), TokenRefused, True, id="token"),
        pytest.param(answering(b"", 404), NotAnArgosServer, True, id="not found"),
        pytest.param(answering(b"", 500), ServerError, False, id="500"),
        pytest.param(answering(b"", 504), ServerError, False, id="504"),
        pytest.param(answering(b"", 503), ServerError, True, id="503"),
        pytest.param(
            lambda request: Reply(raw=b""), ServerUnreachable, False, id="no answer"
        ),
    ],
)
async def test_an_error_tells_whether_results_may_have_arrived(
    respond: Respond, error: type[ServerError], is_unprocessed: bool
) -> None:
    async with talking(respond) as (client, _):
        with pytest.raises(error) as caught:
            await client.report([b"{}"])

    assert caught.value.is_unprocessed is is_unprocessed


async def test_nothing_arrives_where_nobody_listens() -> None:
    async with client_of(f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(ServerUnreachable) as caught:
            await client.report([b"{}"])

    assert caught.value.is_unprocessed


async def test_leases_are_handed_back() -> None:
    async with talking(answering({})) as (client, server):
        await client.release([HeldLease(group_id=3, lease_no=9)])

    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/api/tasks/release")
    assert request.json() == [{"group_id": 3, "lease_no": 9}]


# TLS


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    tls: ssl.SSLContext,
) -> None:
    async with (
        scripted_server(answering([]), tls=tls) as server,
        client_of(server.url) as client,
    ):
        with pytest.raises(ServerUnreachable, match="certificate verify failed"):
            await client.lease(LEASE)

    assert server.requests == []


async def test_a_private_authority_may_be_given(
    tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    with authority.cert_pem.tempfile() as ca_file:
        async with (
            scripted_server(answering([TASK]), tls=tls) as server,
            client_of(server.url, ca_file=ca_file) as client,
        ):
            answer = await client.lease(LEASE)

    assert len(answer.tasks) == 1
