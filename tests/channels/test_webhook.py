import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from pydantic import SecretStr

from argos.channels import NoticeKind, open_channel
from argos.channels.notice import PROBLEM_OF
from argos.channels.webhook import (
    WebhookChannel,
    alertmanager_document,
    document,
    schema,
    signature,
)
from argos.core.cause import Cause, Common
from argos.core.severity import Severity
from argos.errors import DeliveryError
from argos.schemas.channel import WebhookChannelSettings


class Noon:
    """A clock that stands still."""

    def utcnow(self):
        return datetime(2026, 3, 14, 12, tzinfo=UTC)

    def monotonic(self):
        return 0.0


def settings(sink, **changes):
    return WebhookChannelSettings(
        url=SecretStr(f"{sink.url}/hook?key=canary-key"),
        headers={"Authorization": SecretStr("Bearer canary-token")},
        **changes,
    )


def test_the_request_is_signed_and_has_an_id(http_sink, notice):
    secret = SecretStr("canary-secret")
    channel = WebhookChannel(settings(http_sink, secret=secret), clock=Noon())

    channel.send(notice)
    channel.close()

    ((path, headers, body),) = http_sink.requests
    assert path == "/hook?key=canary-key"
    assert headers["authorization"] == "Bearer canary-token"
    assert headers["content-type"] == "application/json"
    assert headers["argos-id"] == headers["idempotency-key"] == notice.message_id
    assert json.loads(body) == document(notice)
    at = int(Noon().utcnow().timestamp())
    digest = hmac.new(b"canary-secret", b"%d." % at + body, hashlib.sha256)
    assert headers["argos-signature"] == f"t={at},v1={digest.hexdigest()}"


def test_the_signature_of_the_reference_page():
    """Receivers compare theirs with this one."""
    assert signature("a secret", b'{"id":"1"}', at=1_700_000_000) == (
        "t=1700000000,v1="
        "b649324ec47c6996ef3ab730ba2df96ad0986b4194a767d79aa6ec256c48463f"
    )


def test_without_a_secret_there_is_no_signature(http_sink, notice):
    channel = WebhookChannel(settings(http_sink))

    channel.send(notice)
    channel.close()

    assert "argos-signature" not in http_sink.requests[0][1]


def test_what_an_event_says(notice):
    (event,) = document(notice)["events"]

    assert event == {
        "id": "7.1.1000.abc",
        "kind": "opened",
        "title": "❌ example.org (IPv4): status critical",
        "severity": "critical",
        "previous_severity": "ok",
        "status": "failure",
        "at": "2026-03-14T12:00:00Z",
        "since": "2026-03-14T11:55:00Z",
        "website": "example.org",
        "name": "Company",
        "url": "https://example.org/",
        "ip_version": "4",
        "check": "status-is",
        "task": 7,
        "incident": 3,
        "agent": "anna",
        "reason": "The status code is 503 instead of 200.",
        "link": "https://argos.example/task/7/results",
        "parent": None,
        "cause": None,
        "cause_name": None,
        "cause_failure": None,
    }


def test_an_event_names_what_it_has_in_common_with_another_incident(notice):
    (item,) = notice.items
    common = Common(Cause.ADDRESS, "192.0.2.1", "connect")
    told = replace(notice, items=(replace(item, parent_id=2, common=common),))

    (event,) = document(told)["events"]

    assert event["parent"] == 2
    assert event["cause"] == "address"
    assert (event["cause_name"], event["cause_failure"]) == ("192.0.2.1", "connect")


def about_agent(notice, kind, agent=None):
    severity = Severity.OK if kind in PROBLEM_OF else Severity.WARNING
    if kind is NoticeKind.NO_AGENT:
        severity = Severity.CRITICAL
    return replace(notice, kind=kind, severity=severity, items=(), agent=agent)


def test_a_digest_tells_programs_of_agents_too(notice, digest):
    gone = about_agent(notice, NoticeKind.AGENT_GONE, "anna")
    told = replace(digest, others=(gone,))

    (part,) = document(told)["notices"]
    alerts = alertmanager_document(told)["alerts"]

    assert (part["kind"], part["agent"]) == ("agent-gone", "anna")
    assert len(document(told)["events"]) == 2
    assert [each["labels"]["alertname"] for each in alerts] == [
        "status-is",
        "status-is",
        "agent-gone",
    ]


@pytest.mark.parametrize("end", PROBLEM_OF)
def test_alertmanager_knows_what_of_agents_is_over(notice, end):
    agents = (
        [None] if end in {NoticeKind.AGENT_BACK, NoticeKind.IN_TIME} else ["a", "b"]
    )
    alerts = [
        alertmanager_document(about_agent(notice, kind, agent))["alerts"][0]
        for agent in agents
        for kind in (PROBLEM_OF[end], end)
    ]

    assert [each["status"] for each in alerts] == ["firing", "resolved"] * len(agents)
    labels = [each["labels"] for each in alerts]
    prints = [each["fingerprint"] for each in alerts]
    assert labels[::2] == labels[1::2]
    assert prints[::2] == prints[1::2]
    assert len(set(prints)) == len(agents)


def test_documents_have_the_keys_of_the_schema(notice, digest):
    properties = schema()["properties"]
    other = replace(digest, others=(notice,))
    for told in (notice, digest, other, replace(notice, items=(), url=None)):
        posted = document(told)
        assert set(posted) == set(properties)
        for name in ("events", "notices"):
            for part in posted[name]:
                assert set(part) == set(properties[name]["items"]["properties"])


def test_alertmanager_gets_a_problem_and_its_recovery_as_one_alert(digest):
    posted = alertmanager_document(digest)

    problem, recovery = posted["alerts"]
    assert posted["version"] == "4"
    assert posted["status"] == "firing"
    assert (problem["status"], recovery["status"]) == ("firing", "resolved")
    assert problem["fingerprint"] == recovery["fingerprint"]
    assert problem["labels"] == recovery["labels"] == posted["commonLabels"]
    assert problem["labels"]["severity"] == "critical"
    assert problem["startsAt"] == recovery["startsAt"] == "2026-03-14T11:55:00Z"
    assert problem["endsAt"] == "0001-01-01T00:00:00Z"
    assert recovery["endsAt"] == "2026-03-14T12:03:00Z"


def test_alertmanager_gets_what_is_about_no_website_as_well(http_sink, notice):
    channel = WebhookChannel(settings(http_sink, format="alertmanager"))

    channel.send(
        replace(
            notice,
            kind=NoticeKind.AGENT_BACK,
            severity=Severity.OK,
            title="T",
            items=(),
        )
    )
    channel.close()

    posted = json.loads(http_sink.requests[0][2])
    assert posted["status"] == "resolved"
    assert posted["alerts"][0]["annotations"]["summary"] == "T"


@pytest.mark.parametrize("status", [302, 403, 500])
def test_a_refusal_tells_no_secret(http_sink, notice, status):
    http_sink.status = status
    http_sink.headers = {"Location": "http://10.0.0.1/canary-elsewhere"}
    channel = WebhookChannel(settings(http_sink, secret=SecretStr("canary-secret")))

    with pytest.raises(DeliveryError, match=f"answered {status}") as caught:
        channel.send(notice)
    channel.close()

    assert "canary" not in str(caught.value)
    assert caught.value.is_unsent
    assert len(http_sink.requests) == 1


def test_a_named_channel_is_a_recipient(http_sink, notice):
    general = SimpleNamespace(channels={"tickets": settings(http_sink)})
    channel = open_channel("tickets", general)

    channel.send(notice)
    channel.close()

    assert len(http_sink.requests) == 1
    with pytest.raises(DeliveryError, match="no recipient tickets:x"):
        open_channel("tickets:x", general)


def test_alertmanager_knows_a_recovery_by_the_labels_of_the_problem_at_its_worst(
    digest,
):
    _, recovery = digest.items
    eased = replace(
        recovery, previous_severity=Severity.WARNING, worst=Severity.CRITICAL
    )

    posted = alertmanager_document(replace(digest, items=(digest.items[0], eased)))

    assert posted["alerts"][0]["labels"] == posted["alerts"][1]["labels"]
