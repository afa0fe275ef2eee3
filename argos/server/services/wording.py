"""Moments, durations and states in the words of notices."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import urlsplit

from argos.channels import find_setup, recipient_name
from argos.core.cause import Cause, Common
from argos.core.severity import Severity
from argos.core.text import cut, visible
from argos.language import SOURCE_LANGUAGE, Phrase, Texts, mark, texts_in
from argos.own_words import OUR_WORDS, OwnWords
from argos.schemas import Config
from argos.server.services.reasons import say_reason
from argos.server.services.signed_link import LIFETIME, Acknowledging, LinkSigner

LOG = "local"
"""The recipient that is the server's log; whoever reads it needs no links."""
MAX_REASON_LENGTH = 300
MAX_FOUND_LENGTH = 200
MAX_NAME_LENGTH = 80

_REASON_FACTS = ("reason", "error_message")
_SEVERITIES = {
    Severity.OK: mark("ok"),
    Severity.WARNING: mark("warning"),
    Severity.CRITICAL: mark("critical"),
    Severity.UNKNOWN: mark("unknown"),
}
_CAUSES = {
    Cause.WEBSITE: (mark("same website"), mark("same website {name}")),
    Cause.DEPENDENCY: (mark("depends on another website"), mark("depends on {name}")),
    Cause.CERTIFICATE: (
        mark("same certificate"),
        mark("same certificate, valid until {name}"),
    ),
    Cause.ADDRESS: (mark("same address"), mark("same address {name}")),
    Cause.AGENT: (mark("seen by one agent"), mark("seen by agent {name}")),
}
"""What incidents have in common; without and with its name."""
_UNITS = (
    mark("{number} d"),
    mark("{number} h"),
    mark("{number} min"),
    mark("{number} s"),
)


@dataclass(frozen=True, slots=True)
class Wording:
    """How notices to somebody are worded, and where their links begin."""

    language: str = SOURCE_LANGUAGE
    base_url: str | None = None
    """Links begin with the configured base URL, or there are none."""
    signer: LinkSigner | None = None
    """Signs links that need no login; None: there are none."""
    time_zone: tzinfo = UTC
    """Whose clock moments are told by."""
    own: OwnWords = OUR_WORDS
    """Templates of the config's own."""

    @property
    def texts(self) -> Texts:
        """Says things in the language."""
        return texts_in(self.language)

    def link(self, path: str) -> str | None:
        """A link into our own pages."""
        return None if self.base_url is None else f"{self.base_url.rstrip('/')}{path}"

    def moment(self, moment: datetime) -> str:
        """A moment for people: `2026-03-14 13:00:00 CET`."""
        return f"{moment.astimezone(self.time_zone):%Y-%m-%d %H:%M:%S %Z}"

    def time(self, moment: datetime, *, now: datetime) -> str:
        """A moment to the second, with its day if that was not of late: `13:00:05 CET`."""
        local = moment.astimezone(self.time_zone)
        return (
            f"{local:%H:%M:%S %Z}" if _is_recent(moment, now) else self.moment(moment)
        )

    def since(self, moment: datetime, *, now: datetime) -> str:
        """A moment of late, as short as it can be: `12:01 UTC`, `2026-03-13 12:01 UTC`."""
        local = moment.astimezone(self.time_zone)
        return f"{local:{'' if _is_recent(moment, now) else '%Y-%m-%d '}%H:%M %Z}"

    def acknowledge_link(
        self, incident_id: int, *, recipient: str, at: datetime
    ) -> str | None:
        """The link by which whoever was told says that they take care of an incident.

        The same for the same event, so that a message stays what it is.
        """
        if self.signer is None or recipient == LOG:
            return None
        wish = Acknowledging(incident_id, recipient_name(recipient), at + LIFETIME)
        return self.link(f"/acknowledge/{incident_id}?{self.signer.query(wish)}")


def _is_recent(moment: datetime, now: datetime) -> bool:
    return abs(now - moment) < timedelta(hours=20)


def wording_for(recipient: str, config: Config) -> Wording:
    """The wording for a recipient; raises DeliveryError when the config has none."""
    general = config.general
    setup = find_setup(recipient, general)
    return Wording(
        setup.language,
        general.base_url,
        LinkSigner.of(config),
        general.time_zone,
        setup.own_words,
    )


def severity_word(severity: Severity, texts: Texts) -> str:
    """What a severity is called."""
    return texts.say(_SEVERITIES[severity])


def format_duration(duration: timedelta, texts: Texts) -> str:
    """A duration for people, in its two largest units: `2 h 5 min`."""
    minutes, seconds = divmod(max(0, int(duration.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = list(zip((days, hours, minutes, seconds), _UNITS, strict=True))
    first = next((place for place, (count, _) in enumerate(units) if count), 3)
    shown = [
        texts.say(unit, number=count)
        for count, unit in units[first : first + 2]
        if count or first == len(units) - 1
    ]
    return " ".join(shown)


def rough_duration(duration: timedelta) -> Phrase:
    """A duration for people, in the largest unit that it has two of: `90 s`, `2 min`."""
    seconds = max(0, int(duration.total_seconds()))
    for size, unit in zip((86_400, 3_600, 60), _UNITS, strict=False):
        if seconds >= 2 * size:
            return Phrase(unit, {"number": seconds // size})
    return Phrase(_UNITS[-1], {"number": seconds})


def cause_words(common: Common, texts: Texts) -> str:
    """What incidents have in common: `same address 192.0.2.1 (connect)`."""
    anonymous, named = _CAUSES[common.cause]
    words = texts.say(anonymous)
    if common.name is not None:
        words = texts.say(named, name=_short_name(common.cause, common.name))
    if common.failure is not None:
        words += f" ({cut(visible(common.failure), MAX_NAME_LENGTH)})"
    return words


def _short_name(cause: Cause, name: str) -> str:
    if cause is Cause.CERTIFICATE:
        name = name.partition("T")[0]
    elif cause in {Cause.WEBSITE, Cause.DEPENDENCY}:
        name = host_of(name) if "://" in name else name.rpartition("@")[2]
    return cut(visible(name), MAX_NAME_LENGTH)


def reason_of(facts: Mapping[str, Any] | None, texts: Texts) -> str | None:
    """Why a check did not hold, in one line."""
    for name in _REASON_FACTS:
        if value := (facts or {}).get(name):
            reason = say_reason(" ".join(str(value).split()), texts)
            return cut(reason, MAX_REASON_LENGTH)
    return None


def evidence_of(facts: Mapping[str, Any] | None, texts: Texts) -> list[tuple[str, str]]:
    """What was found, beside the reason."""
    known = facts or {}
    found = []
    if (value := known.get("retrieved")) not in {None, ""}:
        text = cut(" ".join(str(value).split()), MAX_FOUND_LENGTH)
        found.append((texts.say("Found"), text))
    days = known.get("expires_in")
    if isinstance(days, int) and not isinstance(days, bool):
        found.append((texts.say("Certificate"), certificate_words(days, texts)))
    return found


def certificate_words(days: int, texts: Texts) -> str:
    """How long a certificate lasts."""
    if days < 0:
        return texts.count(
            "expired {number} day ago", "expired {number} days ago", -days
        )
    if days == 0:
        return texts.say("expires today")
    return texts.count("expires in {number} day", "expires in {number} days", days)


def host_of(url: str) -> str:
    """The host of a URL, without the name and password that some carry."""
    return urlsplit(url).netloc.rpartition("@")[2]


def without_password(url: str) -> str:
    """The URL without the name and password that some carry."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
