"""Put an event into words: plain strings, and links into our own pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from argos.channels import ICONS, Item, Notice, NoticeKind
from argos.core.cause import Cause
from argos.core.incident import EventKind
from argos.core.quorum import SEEN_FROM
from argos.core.severity import Severity, Status
from argos.core.text import cut, visible
from argos.language import Phrase, mark
from argos.server.columns import from_epoch_us, to_epoch_us
from argos.server.queries.deliveries import ClaimedDelivery
from argos.server.services.wording import (
    Wording,
    cause_words,
    evidence_of,
    format_duration,
    host_of,
    reason_of,
    severity_word,
    without_password,
)

MAX_TITLE_REASON_LENGTH = 100
WATCHED_NO_LONGER = "watched_no_longer"
"""The entry of a recovery's facts that says so: a location, or true."""


_NOTES = {
    EventKind.FLAPPING: mark("it changes again and again"),
    EventKind.STEADY: mark("it changes no more"),
    EventKind.LASTING: mark("it still lasts"),
}


def notice_of(delivery: ClaimedDelivery, wording: Wording) -> Notice:
    """The notice of a delivery that is told alone."""
    if delivery.notice is not None:
        return decode_notice(
            delivery.notice, message_id=delivery.message_id, wording=wording
        )
    item = item_of(delivery, wording)
    return Notice(
        message_id=delivery.message_id,
        kind=NoticeKind(item.kind),
        severity=item.severity,
        at=item.at,
        title=item.title,
        lines=tuple(_lines(delivery, item, wording)),
        url=item.link,
        acknowledge_url=_acknowledge_link(delivery, item, wording),
        task_id=item.task_id,
        status=item.status,
        items=(item,),
        language=wording.language,
    )


def _acknowledge_link(
    delivery: ClaimedDelivery, item: Item, wording: Wording
) -> str | None:
    """Where to take care of it, of what is not over."""
    if item.incident_id is None or item.severity is Severity.OK:
        return None
    return wording.acknowledge_link(
        item.incident_id, recipient=delivery.recipient, at=delivery.created_at
    )


def item_of(delivery: ClaimedDelivery, wording: Wording) -> Item:
    """The change of a task that a delivery tells of."""
    assert delivery.kind is not None
    assert delivery.at is not None
    assert delivery.severity is not None
    assert delivery.url is not None
    assert delivery.task_id is not None
    reason = reason_of(delivery.facts, wording.texts)
    return Item(
        id=delivery.message_id,
        kind=delivery.kind.value,
        title=_title(delivery, delivery.severity, delivery.at, wording),
        severity=delivery.severity,
        previous_severity=delivery.previous_severity,
        status=delivery.status,
        at=delivery.at,
        since=delivery.opened_at,
        website=visible(host_of(delivery.url)),
        url=visible(without_password(delivery.url)),
        ip_version=str(delivery.ip_version),
        check=visible(str(delivery.check)),
        task_id=delivery.task_id,
        incident_id=delivery.incident_id,
        agent=_witness(delivery),
        reason=visible(reason) if reason and not _is_over(delivery) else None,
        link=wording.link(f"/task/{delivery.task_id}/results"),
        ending=_ending(delivery, wording),
        parent_id=None if delivery.common is None else delivery.leader_id,
        common=delivery.common,
        worst=delivery.worst,
        name=None if delivery.name is None else visible(delivery.name),
    )


def _witness(delivery: ClaimedDelivery) -> str | None:
    """From where it was seen: an agent, or several locations."""
    places = (delivery.facts or {}).get(SEEN_FROM)
    if isinstance(places, list) and not _is_over(delivery):
        return visible(", ".join(map(str, places)))
    return None if delivery.agent_id is None else visible(delivery.agent_id)


def _ending(delivery: ClaimedDelivery, wording: Wording) -> str | None:
    """How it ended, if not by being ok again."""
    place = (delivery.facts or {}).get(WATCHED_NO_LONGER)
    if not place or not _is_over(delivery):
        return None
    if isinstance(place, str):
        return wording.texts.say(
            "watched no longer from {location}", location=visible(place)
        )
    return wording.texts.say("watched no longer")


def _is_over(delivery: ClaimedDelivery) -> bool:
    return delivery.severity is Severity.OK


def _title(
    delivery: ClaimedDelivery, severity: Severity, at: datetime, wording: Wording
) -> str:
    """What it is, how bad, why, since when, and where it was seen from."""
    texts = wording.texts
    # It begins as in 0.10.3: people filter their mail by these words.
    head = texts.say(
        "{icon} {host} (IPv{ip_version}): status {severity}",
        icon=ICONS[severity],
        host=host_of(delivery.url or ""),
        ip_version=delivery.ip_version,
        severity=severity_word(severity, texts),
    )
    if ending := _ending(delivery, wording):
        head = texts.say(
            "{icon} {host} (IPv{ip_version}): {ending}",
            icon=ICONS[severity],
            host=host_of(delivery.url or ""),
            ip_version=delivery.ip_version,
            ending=ending,
        )
    since = delivery.opened_at or at
    if severity is Severity.OK:
        tail = texts.say(
            "{check}, after {duration}",
            check=delivery.check,
            duration=format_duration(at - since, texts),
        )
        return visible(f"{head} · {tail}")
    what = str(delivery.check)
    if delivery.kind in _NOTES:
        head = f"{head}, {texts.say(_NOTES[delivery.kind])}"
    if why := reason_of(delivery.facts, texts):
        what = cut(f"{what}: {why.rstrip('.')}", MAX_TITLE_REASON_LENGTH)
    parts = [what]
    if delivery.common is not None and delivery.cause is not Cause.WEBSITE:
        parts.append(cause_words(delivery.common, texts))
    began = wording.since(since, now=delivery.created_at)
    parts.append(texts.say("since {moment}", moment=began))
    if (witness := _witness(delivery)) is not None:
        parts.append(texts.say("seen from {agent}", agent=witness))
    return visible(f"{head} · {', '.join(parts)}")


def _lines(
    delivery: ClaimedDelivery, item: Item, wording: Wording
) -> list[tuple[str, str]]:
    texts = wording.texts
    say = texts.say
    previous = delivery.previous_severity or Severity.UNKNOWN
    lines = [] if item.name is None else [(say("Website"), item.name)]
    lines += [
        (say("URL"), f"{item.url} (IPv{item.ip_version})"),
        (say("Check"), item.check),
        (say("Status"), item.ending or severity_word(item.severity, texts)),
        (say("Time"), wording.moment(item.at)),
        (say("Previous status"), severity_word(previous, texts)),
    ]
    if item.reason is not None:
        lines.append((say("Reason"), item.reason))
    if item.severity is not Severity.OK:
        if delivery.common is not None:
            lines.append((say("Cause"), cause_words(delivery.common, texts)))
        lines += evidence_of(delivery.facts, texts)
    if item.since is not None and item.since < item.at:
        lines.append(_lasting(item, item.since, wording))
    if item.agent is not None:
        lines.append((say("Seen from"), item.agent))
    return [(label, visible(value)) for label, value in lines]


def _lasting(item: Item, since: datetime, wording: Wording) -> tuple[str, str]:
    texts = wording.texts
    if item.severity is Severity.OK:
        return texts.say("Was not ok for"), format_duration(item.at - since, texts)
    return texts.say("Not ok since"), wording.moment(since)


@dataclass(frozen=True, slots=True)
class Draft:
    """A notice of no task's event, before its language is known."""

    kind: NoticeKind
    severity: Severity
    at: datetime
    title: Phrase
    lines: tuple[tuple[Phrase, Phrase | datetime | str], ...] = ()
    page: str = "/agents"
    """The page to link to."""
    agent: str | None = None
    """The agent that it is about, if it is about one."""


def encode_draft(draft: Draft) -> dict[str, Any]:
    """A draft, as a delivery keeps it."""
    return {
        "kind": draft.kind,
        "severity": draft.severity,
        "at": to_epoch_us(draft.at),
        "title": _encode_phrase(draft.title),
        "lines": [
            [_encode_phrase(label), _encode_value(value)]
            for label, value in draft.lines
        ],
        "page": draft.page,
        "agent": draft.agent,
    }


def _encode_value(value: Phrase | datetime | str) -> Any:
    match value:
        case Phrase():
            return _encode_phrase(value)
        case datetime():
            return to_epoch_us(value)
    return value


def _encode_phrase(phrase: Phrase) -> list[Any]:
    return [phrase.message, dict(phrase.values)]


def decode_notice(
    document: Mapping[str, Any], *, message_id: str, wording: Wording
) -> Notice:
    """The notice of what `encode_draft` made."""

    def put(phrase: Any) -> str:
        if isinstance(phrase, str):
            return visible(phrase)
        if isinstance(phrase, int):
            return wording.moment(from_epoch_us(phrase))
        message, values = phrase
        return visible(wording.texts.say(message, **values))

    return Notice(
        message_id=message_id,
        kind=NoticeKind(document["kind"]),
        severity=Severity(document["severity"]),
        at=from_epoch_us(document["at"]),
        title=put(document["title"]),
        lines=tuple((put(label), put(value)) for label, value in document["lines"]),
        url=wording.link(document.get("page", "/agents")),
        status=Status.ERROR,
        agent=None if (agent := document.get("agent")) is None else visible(agent),
        language=wording.language,
    )
