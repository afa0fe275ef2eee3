"""Put an event into words: plain strings, and links into our own pages."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from argos.channels import ICONS, Notice, NoticeKind
from argos.core.severity import Severity, Status
from argos.core.text import cut, visible
from argos.server.columns import from_epoch_us, to_epoch_us
from argos.server.queries.deliveries import ClaimedDelivery

MAX_REASON_LENGTH = 300

_REASON_FACTS = ("reason", "error_message")


def notice_of(delivery: ClaimedDelivery, *, base_url: str | None) -> Notice:
    """The notice of a delivery; links begin with the configured base URL, or are none."""
    if delivery.notice is not None:
        return decode_notice(
            delivery.notice, message_id=delivery.message_id, base_url=base_url
        )
    assert delivery.kind is not None
    assert delivery.at is not None
    assert delivery.severity is not None
    assert delivery.url is not None
    host = urlsplit(delivery.url).netloc.rpartition("@")[2]
    icon = ICONS[delivery.severity]
    return Notice(
        message_id=delivery.message_id,
        kind=NoticeKind(delivery.kind.value),
        severity=delivery.severity,
        at=delivery.at,
        # The words of 0.10.3: people filter their mail by them.
        title=visible(
            f"{icon} {host} (IPv{delivery.ip_version}): status {delivery.severity}"
        ),
        lines=tuple(_lines(delivery)),
        url=None
        if base_url is None
        else f"{base_url.rstrip('/')}/task/{delivery.task_id}/results",
        task_id=delivery.task_id,
        status=delivery.status,
    )


def _lines(delivery: ClaimedDelivery) -> list[tuple[str, str]]:
    assert delivery.at is not None
    lines = [
        ("URL", f"{_without_password(delivery.url or '')} (IPv{delivery.ip_version})"),
        ("Check", str(delivery.check)),
        ("Status", str(delivery.severity)),
        ("Time", format_moment(delivery.at)),
        ("Previous status", str(delivery.previous_severity)),
    ]
    if delivery.severity is not Severity.OK and (reason := _reason(delivery.facts)):
        lines.append(("Reason", reason))
    if delivery.opened_at is not None and delivery.opened_at < delivery.at:
        lines.append(("Not ok since", format_moment(delivery.opened_at)))
        if delivery.severity is Severity.OK:
            duration = format_duration(delivery.at - delivery.opened_at)
            lines[-1] = ("Was not ok for", duration)
    return [(label, visible(value)) for label, value in lines]


def _reason(facts: dict[str, Any] | None) -> str | None:
    for name in _REASON_FACTS:
        if value := (facts or {}).get(name):
            return cut(" ".join(str(value).split()), MAX_REASON_LENGTH)
    return None


def _without_password(url: str) -> str:
    """The URL without the name and password that some carry."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def encode_notice(notice: Notice) -> dict[str, Any]:
    """A notice of no task's event, as a delivery keeps it."""
    return {
        "kind": notice.kind,
        "severity": notice.severity,
        "at": to_epoch_us(notice.at),
        "title": notice.title,
        "lines": [list(line) for line in notice.lines],
    }


def decode_notice(
    document: dict[str, Any], *, message_id: str, base_url: str | None
) -> Notice:
    """What `encode_notice` made; it links to the agents' page."""
    return Notice(
        message_id=message_id,
        kind=NoticeKind(document["kind"]),
        severity=Severity(document["severity"]),
        at=from_epoch_us(document["at"]),
        title=document["title"],
        lines=tuple((label, value) for label, value in document["lines"]),
        url=None if base_url is None else f"{base_url.rstrip('/')}/agents",
        status=Status.ERROR,
    )


def format_moment(moment: datetime) -> str:
    """A moment for people: `2026-03-14 12:00:00 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def format_duration(duration: timedelta) -> str:
    """A duration for people, in its two largest units: `2 h 5 min`."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((place for place, (count, _) in enumerate(units) if count), 3)
    shown = [f"{count} {unit}" for count, unit in units[first : first + 2] if count]
    return " ".join(shown) or "0 s"
