"""What every channel has in common: the notice, the contract, and the registry."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Self

from argos.core.severity import Severity, Status
from argos.errors import DeliveryError

ATTEMPT_TIMEOUT_S = 20.0
"""How long one attempt to send may take as a whole."""


class NoticeKind(StrEnum):
    """What a notice is about."""

    OPENED = "opened"
    """A task is not ok."""
    WORSENED = "worsened"
    """It became more urgent than was told."""
    CLOSED = "closed"
    """It is ok again."""
    FLAPPING = "flapping"
    """It changes so often that this one notice stands for all of its changes."""
    STEADY = "steady"
    """It changes no more, but stays not ok."""
    NO_AGENT = "no-agent"
    """No agent is at work: nothing is watched."""
    AGENT_BACK = "agent-back"
    """Agents are at work again."""
    AGENT_SUSPECT = "agent-suspect"
    """An agent fails wherever others succeed: it is not believed."""
    AGENT_TRUSTED = "agent-trusted"
    """It is believed again."""


ICONS = {
    Severity.OK: "✅",
    Severity.WARNING: "⚠️",
    Severity.CRITICAL: "❌",
    Severity.UNKNOWN: "❔",
}
"""As 0.10.3 shows them; people filter their mail by them."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A message about an incident or about silent agents; plain strings and links.

    All texts may hold what a website or an agent says; control characters are visible
    already, markup is the channel's business.
    """

    message_id: str
    """The same at every attempt, so that a receiver can drop a repeat."""
    kind: NoticeKind
    severity: Severity
    at: datetime
    title: str
    """One line, without "[Argos]"."""
    lines: tuple[tuple[str, str], ...] = ()
    """What there is to know, as pairs of a label and a value."""
    url: str | None = None
    """Where to read more: in our own pages, by the configured base URL only."""
    task_id: int | None = None
    status: Status | None = None

    @property
    def subject(self) -> str:
        """The title as a mail's subject."""
        return f"[Argos] {self.title}"

    @property
    def text(self) -> str:
        """The notice as plain text."""
        width = max((len(label) for label, _ in self.lines), default=0) + 1
        lines = [f"{label + ':':{width}} {value}" for label, value in self.lines]
        if self.url is not None:
            lines += ["", f"See it at {self.url}"]
        return "\n".join([*lines, ""])


_registry: dict[str, type["Channel"]] = {}


class Channel:
    """A way to send notices, with its settings.

    A subclass gives `name` and `send`, and `open` where it has settings. It is made anew
    for each batch of notices and closed after it.
    """

    name: ClassVar[str] = ""
    """The recipient's name in the config, or what stands before its colon."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not cls.name:
            raise TypeError(f"{cls.__name__} has no name")
        if cls.name in _registry:
            raise TypeError(f"There are two channels named {cls.name}")
        _registry[cls.name] = cls

    @classmethod
    def open(cls, general: Any, target: str) -> Self:  # noqa: ARG003  # for subclasses
        """The channel with its settings, out of the config's section `general`.

        `target` is what stands after the recipient's colon. Raises a permanent
        DeliveryError when the config has no such recipient.
        """
        if target:
            raise unknown_recipient(f"{cls.name}:{target}")
        return cls()

    @classmethod
    def targets(cls, general: Any, target: str) -> tuple[str, ...]:  # noqa: ARG003  # for subclasses
        """What a recipient of the config comes down to: one delivery for each.

        So that one address that fails is tried again without repeating the others.
        """
        return (target,)

    def send(self, notice: Notice) -> None:
        """Send a notice; returns once the other side has confirmed it.

        Raises DeliveryError, permanent when no further attempt can help. Takes no
        longer than ATTEMPT_TIMEOUT_S.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close what is open."""


def get_channel(recipient: str) -> type[Channel]:
    """The channel of a recipient (`mail`, `apprise:team`).

    Raises a permanent DeliveryError when there is none.
    """
    channel = _registry.get(recipient.partition(":")[0])
    if channel is None:
        raise unknown_recipient(recipient)
    return channel


def expand_recipient(recipient: str, general: Any) -> tuple[str, ...]:
    """The recipients, each of one target, that a recipient of the config stands for.

    One that no channel knows stays as it is, so that its delivery says so.
    """
    name, _, target = recipient.partition(":")
    channel = _registry.get(name)
    if channel is None:
        return (recipient,)
    return tuple(
        f"{name}:{each}" if each else name for each in channel.targets(general, target)
    )


def recipient_name(recipient: str) -> str:
    """How the config calls the recipient of a delivery: `mail`, `apprise:team`.

    What a delivery names beside it (an address, the key of a secret) is for nobody's
    eyes but the database's.
    """
    name, _, target = recipient.partition(":")
    group = target.partition("#")[0]
    return f"{name}:{group}" if name == "apprise" and group else name


def get_channels() -> Mapping[str, type[Channel]]:
    """All channels by name."""
    return MappingProxyType(_registry)


def unknown_recipient(recipient: str) -> DeliveryError:
    """The error that no attempt can mend."""
    return DeliveryError(
        f"There is no recipient {recipient} in this version of Argos or in its config.",
        permanent=True,
    )
