"""The recipient `gotify`: a message for each application of each Gotify server."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from argos.channels.base import Channel, Notice, NoticeKind, unknown_recipient
from argos.channels.http import HttpSender
from argos.core.severity import Severity

PRIORITIES = {
    Severity.OK: 1,
    Severity.WARNING: 5,
    Severity.UNKNOWN: 5,
    Severity.CRITICAL: 9,
}
"""As in 0.10.3; people's phones ring from a priority on."""
_MARKDOWN_SPECIALS = str.maketrans({
    char: f"\\{char}" for char in r"\`*_{}[]<>()#+-!|~"
})


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
    def open(cls, general: Any, target: str) -> Self:
        chosen = tuple(
            application
            for application in _applications(general)
            if target in {"", application.key}
        )
        if not chosen:
            raise unknown_recipient(f"gotify:{target}" if target else "gotify")
        return cls(chosen)

    @classmethod
    def targets(cls, general: Any, target: str) -> tuple[str, ...]:
        keys = tuple(application.key for application in _applications(general))
        return (target,) if target or not keys else keys

    def send(self, notice: Notice) -> None:
        for application in self._applications:
            self._sender.post_json(
                f"{application.url.rstrip('/')}/message",
                _payload(notice),
                headers={"X-Gotify-Key": application.token},
            )

    def close(self) -> None:
        self._sender.close()


def _applications(general: Any) -> Iterator[_Application]:
    for server in general.gotify or ():
        for token in server.tokens:
            yield _Application(str(server.url), token.get_secret_value())


def _payload(notice: Notice) -> dict[str, Any]:
    is_alarm = notice.kind is NoticeKind.NO_AGENT
    lines = [
        f"**{label}:** {value.translate(_MARKDOWN_SPECIALS)}"
        for label, value in notice.lines
    ]
    if notice.url is not None:
        lines.append(f"[See it]({notice.url})")
    extras: dict[str, Any] = {"client::display": {"contentType": "text/markdown"}}
    if notice.url is not None:
        extras["client::notification"] = {"click": {"url": notice.url}}
    return {
        "title": notice.title,
        "message": "\\\n".join(lines) or notice.title,
        "priority": 9 if is_alarm else PRIORITIES[notice.severity],
        "extras": extras,
    }
