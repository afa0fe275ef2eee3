"""Channels of the type `apprise`: whatever the Apprise library can reach.

The library runs in a process of its own: its services follow their own ideas of time
limits and redirects, and some 30 MB of it need not stay in the server.
"""

import hashlib
import json
import re
import subprocess
import sys
from typing import Any, Self
from urllib.parse import unquote

from argos.channels.base import ATTEMPT_TIMEOUT_S, Channel
from argos.channels.notice import Notice
from argos.core.severity import Severity
from argos.core.text import cut, visible
from argos.errors import DeliveryError, UnknownTarget

_TYPES = {
    Severity.OK: "success",
    Severity.WARNING: "warning",
    Severity.UNKNOWN: "warning",
    Severity.CRITICAL: "failure",
}
_PROGRAM = "argos.channels.apprise_process"
_MAX_REASON_LENGTH = 300
_SEPARATORS = re.compile(r"[/:@?&=#,]+")
_SHORTEST_SECRET = 3
_CALL = re.compile(
    r"(?<!\w)@(?=(?:all|channel|everyone|here|room)\b)|<(?=[@!])", re.IGNORECASE
)
"""`@everyone`, `<!channel>`, `<@U123>`."""
_NOTHING = "\u200b"
"""Takes no room, and parts what belongs together."""
UNUSABLE = 3
"""The process ends so when the library cannot use the URL."""
REFUSED = 4
"""The process ends so when the service did not take the notice."""


class AppriseChannel(Channel):
    """Sends through Apprise; each attempt is a process that ends in time."""

    name = "apprise"

    def __init__(
        self, urls: tuple[str, ...], *, attempt_timeout_s: float = ATTEMPT_TIMEOUT_S
    ) -> None:
        self._urls = urls
        self._attempt_timeout_s = attempt_timeout_s

    @classmethod
    def open(cls, settings: Any, target: str) -> Self:
        urls = tuple(url for url in _urls(settings) if target in {"", _key(url)})
        if not urls:
            raise UnknownTarget
        return cls(urls)

    @classmethod
    def targets(cls, settings: Any) -> tuple[str, ...]:
        return tuple(_key(url) for url in _urls(settings))

    def send(self, notice: Notice) -> None:
        for url in self._urls:
            self._send_to(url, notice)

    def _send_to(self, url: str, notice: Notice) -> None:
        scheme = url.partition(":")[0]
        text = notice.text if notice.lines or notice.entries else notice.headline
        if notice.own_text is not None:
            text = notice.own_text
        order = {
            "url": url,
            "title": _without_calls(notice.subject),
            "body": _without_calls(text),
            "type": _TYPES[notice.severity],
        }
        try:
            # The URL goes through a pipe: arguments can be read by other users.
            done = subprocess.run(  # noqa: S603  # our own program
                [sys.executable, "-m", _PROGRAM],
                input=json.dumps(order),
                capture_output=True,
                text=True,
                timeout=self._attempt_timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as err:
            raise DeliveryError(
                f"The {scheme} service took longer than {self._attempt_timeout_s:g} s."
            ) from err
        if done.returncode:
            raise _explain(done.returncode, scheme, done.stdout, url)


def _without_calls(text: str) -> str:
    """The text, in which nothing calls people by name as chats understand it.

    What a website says stands in it, and must not wake a whole company.
    """
    return _CALL.sub(lambda match: f"{match[0]}{_NOTHING}", text)


def _explain(code: int, scheme: str, output: str, url: str) -> DeliveryError:
    """Why it failed, in the library's words, but without the URL and its secrets."""
    if code == UNUSABLE:
        return DeliveryError(
            f"Apprise cannot use the {scheme} URL of this group.", permanent=True
        )
    reason = cut(_redact(" ".join(output.split()), url), _MAX_REASON_LENGTH)
    if code != REFUSED:
        reason = f"its process ended with {code}"
    return DeliveryError(
        f"Apprise could not deliver to the {scheme} service"
        + (f": {reason}" if reason else "."),
        is_unsent=code == REFUSED,
    )


def _redact(said: str, url: str) -> str:
    """What was said, without the parts of the URL: any of them may be a secret."""
    _, _, rest = url.partition("://")
    parts = {part for part in _SEPARATORS.split(rest) if len(part) >= _SHORTEST_SECRET}
    for part in sorted({*parts, *map(unquote, parts)}, key=len, reverse=True):
        said = said.replace(part, "…")
    return visible(said)


def _urls(settings: Any) -> tuple[str, ...]:
    secrets = settings if isinstance(settings, tuple) else settings.urls
    return tuple(secret.get_secret_value() for secret in secrets)


def _key(url: str) -> str:
    """Names a URL in delivery rows; the URL itself holds tokens."""
    return hashlib.sha256(url.encode()).hexdigest()[:12]
