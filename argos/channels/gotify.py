"""Channels of the type `gotify`: a message for each application of a Gotify server."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from argos.channels.base import Channel
from argos.channels.http import HttpSender
from argos.channels.markdown import escape
from argos.channels.notice import Notice, NoticeKind
from argos.core.severity import Severity
from argos.errors import UnknownTarget

PRIORITIES = {
    Severity.OK: 1,
    Severity.WARNING: 5,
    Severity.UNKNOWN: 5,
    Severity.CRITICAL: 9,
}
"""As in 0.10.3; people's phones ring from a priority on."""


@dataclass(frozen=True, slots=True)
class _Application:
    url: str
    token: str

    @property
    def key(self) -> str:
        """Names the application in delivery rows without telling its token."""
        digest = hashlib.sha256(f"{self.url}\n{self.token}".encode())
        return digest.hexdigest()[:12]


class GotifyChannel(Channel):
    """Posts to Gotify's `/message`; the token travels in a header, never in a URL."""

    name = "gotify"

    def __init__(self, applications: tuple[_Application, ...]) -> None:
        self._applications = applications
        self._sender = HttpSender()

    @classmethod
    def open(cls, settings: Any, target: str) -> Self:
        chosen = tuple(
            application
            for application in _applications(settings)
            if target in {"", application.key}
        )
        if not chosen:
            raise UnknownTarget
        return cls(chosen)

    @classmethod
    def targets(cls, settings: Any) -> tuple[str, ...]:
        return tuple(application.key for application in _applications(settings))

    def send(self, notice: Notice) -> None:
        for application in self._applications:
            self._sender.post_json(
                f"{application.url.rstrip('/')}/message",
                _payload(notice),
                headers={
                    "X-Gotify-Key": application.token,
                    "Idempotency-Key": notice.message_id,
                },
            )

    def close(self) -> None:
        self._sender.close()


def _applications(settings: Any) -> Iterator[_Application]:
    """The applications of one server's settings, or of several servers'."""
    for server in settings if isinstance(settings, tuple) else (settings,):
        for token in server.tokens:
            yield _Application(str(server.url), token.get_secret_value())


def _payload(notice: Notice) -> dict[str, Any]:
    is_alarm = notice.kind is NoticeKind.NO_AGENT
    message, form = "\\\n".join(_lines(notice)) or notice.title, "text/markdown"
    if notice.own_text is not None:
        # What websites say stands in it, so that nothing in it is markup.
        message, form = notice.own_text, "text/plain"
    extras: dict[str, Any] = {"client::display": {"contentType": form}}
    if notice.url is not None:
        extras["client::notification"] = {"click": {"url": notice.url}}
    return {
        "title": notice.headline,
        "message": message,
        "priority": 9 if is_alarm else PRIORITIES[notice.severity],
        "extras": extras,
    }


def _lines(notice: Notice) -> Iterator[str]:
    for label, value in notice.lines:
        yield f"**{label}:** {escape(value)}"
    for entry in notice.entries:
        text = f"{entry.icon} {escape(entry.text)}"
        yield text if entry.url is None else f"{text} [→]({entry.url})"
    if notice.url is not None:
        yield f"[{notice.see_it}]({notice.url})"
    if notice.acknowledge_url is not None:
        yield f"[{notice.acknowledge_it}]({notice.acknowledge_url})"
