"""The recipients `apprise:GROUP`: whatever the Apprise library can reach."""

import hashlib
from typing import Any, Self

from argos.channels.base import Channel, Notice, unknown_recipient
from argos.core.severity import Severity
from argos.errors import DeliveryError

_TYPES = {
    Severity.OK: "success",
    Severity.WARNING: "warning",
    Severity.UNKNOWN: "warning",
    Severity.CRITICAL: "failure",
}


class AppriseChannel(Channel):
    """Sends through Apprise, which is loaded when the first notice needs it."""

    name = "apprise"

    def __init__(self, urls: tuple[str, ...]) -> None:
        self._urls = urls

    @classmethod
    def open(cls, general: Any, target: str) -> Self:
        group, _, key = target.partition("#")
        urls = tuple(url for url in _urls(general, group) if key in {"", _key(url)})
        if not urls:
            raise unknown_recipient(f"apprise:{target}")
        return cls(urls)

    @classmethod
    def targets(cls, general: Any, target: str) -> tuple[str, ...]:
        urls = _urls(general, target)
        if "#" in target or not urls:
            return (target,)
        return tuple(f"{target}#{_key(url)}" for url in urls)

    def send(self, notice: Notice) -> None:
        from apprise import Apprise

        for url in self._urls:
            service = Apprise()
            scheme = url.partition(":")[0]
            if not service.add(url):
                raise DeliveryError(
                    f"Apprise cannot use the {scheme} URL of this group.",
                    permanent=True,
                )
            body = notice.text or notice.title
            if not service.notify(
                body=body, title=notice.subject, notify_type=_TYPES[notice.severity]
            ):
                raise DeliveryError(
                    f"Apprise could not deliver to the {scheme} service."
                )


def _urls(general: Any, group: str) -> tuple[str, ...]:
    secrets = (general.apprise or {}).get(group, ())
    return tuple(secret.get_secret_value() for secret in secrets)


def _key(url: str) -> str:
    """Names a URL in delivery rows; the URL itself holds tokens."""
    return hashlib.sha256(url.encode()).hexdigest()[:12]
