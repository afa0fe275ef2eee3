"""Channels of the type `webhook`: JSON for programs, signed."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from argos import VERSION
from argos.channels.base import Channel
from argos.channels.http import HttpSender, encode_json
from argos.channels.notice import PROBLEM_OF, Item, Notice, NoticeKind
from argos.clock import Clock, system_clock
from argos.core.cause import Cause
from argos.core.severity import Severity
from argos.errors import UnknownTarget

SCHEMA_VERSION = 1
ALERTMANAGER_VERSION = "4"
_NEVER = "0001-01-01T00:00:00Z"
"""How Alertmanager writes that something has not ended."""


class WebhookChannel(Channel):
    """Posts a document for each message, with its id and its signature."""

    name = "webhook"

    def __init__(self, settings: Any, *, clock: Clock = system_clock) -> None:
        self._settings = settings
        self._clock = clock
        self._sender = HttpSender(clock=clock)

    @classmethod
    def open(cls, settings: Any, target: str) -> Self:
        if target:
            raise UnknownTarget
        return cls(settings)

    def send(self, notice: Notice) -> None:
        body = self._body(notice)
        headers = {
            name: value.get_secret_value()
            for name, value in self._settings.headers.items()
        }
        headers |= {"Argos-Id": notice.message_id, "Idempotency-Key": notice.message_id}
        if self._settings.secret is not None:
            headers["Argos-Signature"] = signature(
                self._settings.secret.get_secret_value(),
                body,
                at=int(self._clock.utcnow().timestamp()),
            )
        self._sender.post(self._settings.url.get_secret_value(), body, headers=headers)

    def _body(self, notice: Notice) -> bytes:
        if notice.own_body is not None:
            return notice.own_body.encode(errors="replace")
        is_alertmanager = self._settings.format == "alertmanager"
        return encode_json(
            alertmanager_document(notice) if is_alertmanager else document(notice)
        )

    def close(self) -> None:
        self._sender.close()


def signature(secret: str, body: bytes, *, at: int) -> str:
    """What the header `Argos-Signature` says: when, and the HMAC of that and the body."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256)
    return f"t={at},v1={digest.hexdigest()}"


def document(notice: Notice) -> dict[str, Any]:
    """What is posted in Argos' own format; its schema is SCHEMA."""
    return {
        "version": SCHEMA_VERSION,
        "id": notice.message_id,
        "kind": notice.kind.value,
        "severity": notice.severity.value,
        "at": _moment(notice.at),
        "title": notice.title,
        "text": notice.text,
        "url": notice.url,
        "acknowledge_url": notice.acknowledge_url,
        "agent": notice.agent,
        "events": [_event(item) for item in notice.items],
        "notices": [_part(other) for other in notice.others],
    }


def _part(notice: Notice) -> dict[str, Any]:
    return {
        "kind": notice.kind.value,
        "severity": notice.severity.value,
        "at": _moment(notice.at),
        "title": notice.title,
        "url": notice.url,
        "agent": notice.agent,
    }


def _event(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "kind": item.kind,
        "title": item.title,
        "severity": item.severity.value,
        "previous_severity": item.previous_severity and item.previous_severity.value,
        "status": item.status and item.status.value,
        "at": _moment(item.at),
        "since": item.since and _moment(item.since),
        "website": item.website,
        "name": item.name,
        "url": item.url,
        "ip_version": item.ip_version,
        "check": item.check,
        "task": item.task_id,
        "incident": item.incident_id,
        "agent": item.agent,
        "reason": item.reason or item.ending,
        "link": item.link,
        "parent": item.parent_id,
        "cause": item.common and item.common.cause.value,
        "cause_name": item.common and item.common.name,
        "cause_failure": item.common and item.common.failure,
    }


def alertmanager_document(notice: Notice) -> dict[str, Any]:
    """The same as Prometheus' Alertmanager would post it, for what understands that."""
    alerts = [_alert(item) for item in notice.items]
    alerts += [_alert_of(other) for other in notice.others]
    alerts = alerts or [_alert_of(notice)]
    is_firing = any(alert["status"] == "firing" for alert in alerts)
    return {
        "version": ALERTMANAGER_VERSION,
        "groupKey": f"argos/{notice.message_id}",
        "truncatedAlerts": 0,
        "status": "firing" if is_firing else "resolved",
        "receiver": "argos",
        "groupLabels": {},
        "commonLabels": _common([alert["labels"] for alert in alerts]),
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": notice.url or "",
        "alerts": alerts,
    }


def _alert(item: Item) -> dict[str, Any]:
    labels = {
        "alertname": item.check,
        "instance": item.website,
        "url": item.url,
        "ip_version": item.ip_version,
        "task": str(item.task_id),
    }
    is_over = item.severity is Severity.OK
    # A recovery has the labels that the problem had last.
    told = (item.worst or item.previous_severity) if is_over else item.severity
    return {
        "status": "resolved" if is_over else "firing",
        "labels": labels | {"severity": (told or item.severity).value},
        "annotations": {
            "summary": f"{item.check} {item.url}",
            "description": item.reason or "",
        },
        "startsAt": _moment(item.since or item.at),
        "endsAt": _moment(item.at) if is_over else _NEVER,
        "generatorURL": item.link or "",
        # Of what stays the same from the problem to its recovery.
        "fingerprint": hashlib.sha256(str(labels).encode()).hexdigest()[:16],
    }


def _alert_of(notice: Notice) -> dict[str, Any]:
    """A notice of no task, as an alert; a problem and its end have the same labels."""
    is_over = notice.kind in PROBLEM_OF
    problem = PROBLEM_OF.get(notice.kind, notice.kind)
    severity = notice.severity
    if is_over:
        is_worst = problem is NoticeKind.NO_AGENT
        severity = Severity.CRITICAL if is_worst else Severity.WARNING
    labels = {"alertname": problem.value, "instance": notice.agent or "argos"}
    return {
        "status": "resolved" if is_over else "firing",
        "labels": labels | {"severity": severity.value},
        "annotations": {"summary": notice.title, "description": notice.text},
        "startsAt": _moment(notice.at),
        "endsAt": _moment(notice.at) if is_over else _NEVER,
        "generatorURL": notice.url or "",
        "fingerprint": hashlib.sha256(str(labels).encode()).hexdigest()[:16],
    }


def _common(mappings: list[dict[str, str]]) -> dict[str, str]:
    first, *others = mappings
    return {
        key: value
        for key, value in first.items()
        if all(other.get(key) == value for other in others)
    }


def _moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def schema() -> Mapping[str, Any]:
    """The JSON schema of what is posted in Argos' own format."""
    text = {"type": "string"}
    moment = {"type": "string", "format": "date-time"}
    severity = {"enum": [severity.value for severity in Severity]}
    nothing = {"type": "null"}
    event = {
        "id": text | {"description": "Names the change; never used again."},
        "kind": text | {"description": "opened, worsened, closed; others may come."},
        "title": text,
        "severity": severity,
        "previous_severity": {
            "anyOf": [severity, nothing],
            "description": "What was told before.",
        },
        "status": {"type": ["string", "null"]},
        "at": moment,
        "since": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "When the incident began.",
        },
        "website": text | {"description": "The host."},
        "name": {
            "type": ["string", "null"],
            "description": "What the config calls the website.",
        },
        "url": text,
        "ip_version": {"enum": ["4", "6"]},
        "check": text,
        "task": {"type": "integer"},
        "incident": {"type": ["integer", "null"]},
        "agent": {"type": ["string", "null"], "description": "Where it was seen from."},
        "reason": {"type": ["string", "null"]},
        "link": {"type": ["string", "null"], "format": "uri"},
        "parent": {
            "type": ["integer", "null"],
            "description": "The incident that speaks for this one.",
        },
        "cause": {
            "enum": [*(cause.value for cause in Cause), None],
            "description": "What both have in common.",
        },
        "cause_name": {"type": ["string", "null"]},
        "cause_failure": {"type": ["string", "null"]},
    }
    part = {
        "kind": text,
        "severity": severity,
        "at": moment,
        "title": text,
        "url": {"type": ["string", "null"], "format": "uri"},
        "agent": {"type": ["string", "null"]},
    }
    notice = {
        "version": {"const": SCHEMA_VERSION},
        "id": text | {"description": "The same at every attempt: drop what you have."},
        "kind": text,
        "severity": severity,
        "at": moment,
        "title": text,
        "text": text,
        "url": {"type": ["string", "null"], "format": "uri"},
        "acknowledge_url": {"type": ["string", "null"], "format": "uri"},
        "agent": {
            "type": ["string", "null"],
            "description": "The agent that it is about, of notices about one.",
        },
        "events": {"type": "array", "items": _object(event)},
        "notices": {
            "type": "array",
            "items": _object(part),
            "description": "What a digest tells that is about no website.",
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A notice of Argos {VERSION.partition('.')[0]}",
        "description": "Later versions may add keys; none is taken away or renamed.",
        **_object(notice),
    }


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
    }
