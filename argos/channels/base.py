"""What every channel has in common: the contract, the registry, and the recipients."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Self

from argos.channels.notice import Notice
from argos.errors import DeliveryError, UnknownRecipient, UnknownTarget
from argos.own_words import OUR_WORDS, OwnWords

ATTEMPT_TIMEOUT_S = 18.0
"""How long a channel lets one attempt take as a whole; at 20 it is left to itself."""

_registry: dict[str, type["Channel"]] = {}


class Channel:
    """A way to send notices, with its settings.

    A subclass gives `name` and `send`, and `open` where it has settings. It is made anew
    for each batch of notices and closed after it.
    """

    name: ClassVar[str] = ""
    """Its type, in the config and in the registry."""
    is_patient: ClassVar[bool] = True
    """Whether notices wait for others that may be told in the same message."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not cls.name:
            raise TypeError(f"{cls.__name__} has no name")
        if cls.name in _registry:
            raise TypeError(f"There are two channels named {cls.name}")
        _registry[cls.name] = cls

    @classmethod
    def open(cls, settings: Any, target: str) -> Self:  # noqa: ARG003  # for subclasses
        """The channel with its settings, for one target of them or, with "", for all.

        Raises UnknownTarget when the settings have no such target.
        """
        if target:
            raise UnknownTarget
        return cls()

    @classmethod
    def targets(cls, settings: Any) -> tuple[str, ...]:  # noqa: ARG003  # for subclasses
        """What the settings come down to: one delivery for each.

        So that one address that fails is tried again without repeating the others.
        """
        return ("",)

    def send(self, notice: Notice) -> None:
        """Send a notice; returns once the other side has confirmed it.

        Raises DeliveryError, permanent when no further attempt can help. Takes no
        longer than ATTEMPT_TIMEOUT_S, as far as it can see to that.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close what is open."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A channel as the config has it, by the name that recipients use."""

    name: str
    kind: type[Channel]
    settings: Any
    language: str

    @property
    def own_words(self) -> OwnWords:
        """The templates of its settings."""
        return getattr(self.settings, "own_words", OUR_WORDS)

    @property
    def recipients(self) -> tuple[str, ...]:
        """A recipient for each target."""
        targets = self.kind.targets(self.settings) or ("",)
        return tuple(_join(self.name, target) for target in targets)


def list_setups(general: Any) -> Mapping[str, Setup]:
    """All channels of the config's section `general`, by name."""
    return {setup.name: setup for setup in _setups(general)}


def _setups(general: Any) -> Iterator[Setup]:
    default = str(getattr(general, "language", "en"))
    yield Setup("local", _registry["local"], None, "en")  # people search their logs
    mail = getattr(general, "mail", None)
    if mail is not None:
        yield Setup("mail", _registry["mail"], mail, _language(mail, default))
    gotify = getattr(general, "gotify", None)
    if gotify:
        language = _language(gotify[0], default)
        yield Setup("gotify", _registry["gotify"], tuple(gotify), language)
    for group, urls in (getattr(general, "apprise", None) or {}).items():
        yield Setup(f"apprise:{group}", _registry["apprise"], tuple(urls), default)
    for name, settings in (getattr(general, "channels", None) or {}).items():
        kind = _registry[settings.type]
        yield Setup(name, kind, settings, _language(settings, default))


def _language(settings: Any, default: str) -> str:
    return str(getattr(settings, "language", None) or default)


def find_setup(recipient: str, general: Any) -> Setup:
    """The channel of a recipient (`mail`, `mail:ada@example.org`, `apprise:team`).

    Raises a permanent DeliveryError when there is none.
    """
    setup = list_setups(general).get(recipient_name(recipient))
    if setup is None:
        raise unknown_recipient(recipient)
    return setup


def open_channel(recipient: str, general: Any) -> Channel:
    """The channel of a recipient, ready to send to it.

    Raises a permanent DeliveryError when the config has no such recipient.
    """
    setup = find_setup(recipient, general)
    _, target = _split(recipient)
    try:
        return setup.kind.open(setup.settings, target)
    except UnknownTarget as err:
        raise unknown_recipient(recipient) from err


def expand_recipient(recipient: str, general: Any) -> tuple[str, ...]:
    """The recipients, each of one target, that a recipient of the config stands for.

    One that no channel knows stays as it is, so that its delivery says so.
    """
    setup = list_setups(general).get(recipient)
    return (recipient,) if setup is None else setup.recipients


def recipient_name(recipient: str) -> str:
    """How the config calls the recipient of a delivery: `mail`, `apprise:team`.

    What a delivery names beside it (an address, the key of a secret) is for nobody's
    eyes but the database's.
    """
    return _split(recipient)[0]


def _split(recipient: str) -> tuple[str, str]:
    separator = "#" if recipient.startswith("apprise:") else ":"
    name, _, target = recipient.partition(separator)
    return name, target


def _join(name: str, target: str) -> str:
    separator = "#" if name.startswith("apprise:") else ":"
    return f"{name}{separator}{target}" if target else name


def get_channels() -> Mapping[str, type[Channel]]:
    """All types of channels by name."""
    return MappingProxyType(_registry)


def unknown_recipient(recipient: str) -> DeliveryError:
    """The error that no attempt can mend."""
    return UnknownRecipient(
        f"There is no recipient {recipient} in this version of Argos or in its config.",
        permanent=True,
    )
