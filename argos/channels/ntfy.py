"""Channels of the type `ntfy`: a topic of an ntfy server."""

from collections.abc import Iterator, Sequence
from typing import Any, Self

from argos.channels.base import Channel
from argos.channels.http import HttpSender
from argos.channels.notice import Notice, NoticeKind
from argos.core.severity import Severity
from argos.errors import UnknownTarget

PRIORITIES = {
    Severity.OK: 2,
    Severity.WARNING: 3,
    Severity.UNKNOWN: 3,
    Severity.CRITICAL: 5,
}
"""From 1, silent, to 5, the loudest."""
MAX_MESSAGE_BYTES = 4000
"""A server makes a file of what is longer than 4096 bytes, unless told otherwise."""


class NtfyChannel(Channel):
    """Publishes as JSON, so that titles may hold any character."""

    name = "ntfy"

    def __init__(self, settings: Any) -> None:
        self._settings = settings
        self._sender = HttpSender()

    @classmethod
    def open(cls, settings: Any, target: str) -> Self:
        if target:
            raise UnknownTarget
        return cls(settings)

    def send(self, notice: Notice) -> None:
        headers = {"Idempotency-Key": notice.message_id}
        if self._settings.token is not None:
            token = self._settings.token.get_secret_value()
            headers["Authorization"] = f"Bearer {token}"
        topic = self._settings.topic.get_secret_value()
        self._sender.post_json(
            str(self._settings.url), _payload(notice, topic), headers=headers
        )

    def close(self) -> None:
        self._sender.close()


def _payload(notice: Notice, topic: str) -> dict[str, Any]:
    is_alarm = notice.kind is NoticeKind.NO_AGENT
    payload: dict[str, Any] = {
        "topic": topic,
        "title": notice.headline,
        "message": _message(notice),
        "priority": 5 if is_alarm else PRIORITIES[notice.severity],
        "actions": [
            {"action": "view", "label": label, "url": url, "clear": False}
            for label, url in (
                (notice.see_it, notice.url),
                (notice.acknowledge_it, notice.acknowledge_url),
            )
            if url is not None
        ],
    }
    if notice.url is not None:
        payload["click"] = notice.url
    return payload


def _message(notice: Notice) -> str:
    """As many lines as a message may hold, and how many more there are."""
    lines = list(_lines(notice)) or [notice.headline]
    if notice.own_text is not None:
        lines = notice.own_text.splitlines()
    text = "\n".join(lines)
    if len(text.encode()) > MAX_MESSAGE_BYTES:
        text = _shortened(lines, notice)
    return text.encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore")


def _shortened(lines: Sequence[str], notice: Notice) -> str:
    """The first lines that fit together with the word that there are more."""

    def more(count: int) -> str:
        return notice.texts.count("… and {number} more", "… and {number} more", count)

    left = MAX_MESSAGE_BYTES - len(more(len(lines)).encode())
    shown: list[str] = []
    for line in lines:
        left -= len(line.encode()) + 1
        if left < 0 and shown:
            break
        shown.append(line)
    rest = len(lines) - len(shown)
    return "\n".join([*shown, more(rest)] if rest else shown)


def _lines(notice: Notice) -> Iterator[str]:
    for label, value in notice.lines:
        yield f"{label}: {value}"
    for entry in notice.entries:
        yield f"{entry.icon} {entry.text}"
