"""Words and numbers for people: times, counts, and what a result means."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from argos.core.severity import Severity
from argos.core.text import cut, visible
from argos.server.queries.figures import Figures

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_MAX_FACT_LENGTH = 4_000
_MAX_SUMMARY_LENGTH = 240

SEVERITY_WORDS = {
    Severity.OK: "OK",
    Severity.WARNING: "Warning",
    Severity.CRITICAL: "Critical",
    Severity.UNKNOWN: "Unknown",
}

FACT_NAMES = {
    "expected": "Expected",
    "retrieved": "Found",
    "reason": "Why",
    "error_message": "What happened",
    "error_type": "Kind of error",
    "error_details": "Details",
    "expires_in": "Days until it expires",
    "not_before": "Valid from",
    "not_after": "Valid until",
    "subject": "Issued to",
    "issuer": "Issued by",
    "names": "Names",
    "fault": "Fault",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One finding of a result, ready to be shown."""

    name: str
    text: str

    @property
    def is_long(self) -> bool:
        return len(self.text) > 100 or "\n" in self.text


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: "1 check", "1,284 checks"."""
    word = noun if number == 1 else plural or f"{noun}s"
    return f"{number:,} {word}"


def left_out(number: int) -> str:
    """Results like the one before them, which have no row."""
    if number == 1:
        return "One more after it was like it: counted, and not kept."
    return f"{number:,} more after it were like it: counted, and not kept."


def duration(interval: timedelta) -> str:
    """A stretch of time in one or two units: "14 min", "2 h 5 min", "3 days"."""
    if interval < _MINUTE:
        return f"{max(0, int(interval.total_seconds()))} s"
    if interval < _HOUR:
        return f"{interval // _MINUTE} min"
    if interval < _DAY:
        minutes = interval % _HOUR // _MINUTE
        return (
            f"{interval // _HOUR} h {minutes} min"
            if minutes
            else f"{interval // _HOUR} h"
        )
    if interval < 3 * _DAY and (hours := interval % _DAY // _HOUR):
        return f"{count(interval // _DAY, 'day')} {hours} h"
    return count(interval // _DAY, "day")


def relative(moment: datetime, now: datetime) -> str:
    """How far away a moment is: "14 min ago", "in 3 min", "just now"."""
    distance = now - moment
    if abs(distance) < timedelta(seconds=5):
        return "just now"
    if distance < timedelta(0):
        return f"in {duration(-distance)}"
    return f"{duration(distance)} ago"


def exact(moment: datetime) -> str:
    """A moment to the second, with its zone."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def machine_time(moment: datetime) -> str:
    """A moment for the attribute `datetime`."""
    return moment.isoformat(timespec="seconds")


def milliseconds(microseconds: float) -> str:
    """A time of a probe: "0.4 ms", "183 ms", "1.24 s"."""
    if microseconds < 10_000:
        return f"{microseconds / 1000:.1f} ms"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.0f} ms"
    return f"{microseconds / 1_000_000:.2f} s"


def percent(share: float) -> str:
    """A share as people compare them; only what is whole is called 100 %."""
    if share in {0.0, 1.0}:
        return f"{share * 100:.0f} %"
    thousandths = min(99_999, max(1, round(share * 100_000)))
    return f"{thousandths / 1000:.3f} %"


def unmeasured(figures: Figures) -> str:
    """What is not known: results that told nothing, and runs that never took place."""
    parts = []
    if figures.counts.unknown:
        parts.append(count(figures.counts.unknown, "result"))
    if figures.missed:
        parts.append(count(figures.missed, "run"))
    return ", ".join(parts) or "0"


def minutes(number: float) -> str:
    """A frequency, which the config keeps in minutes."""
    return duration(timedelta(minutes=number))


def summary(context: Mapping[str, Any], check: str, severity: Severity) -> str:
    """One sentence on what a result found."""
    for key in ("error_message", "reason"):
        text = context.get(key)
        if isinstance(text, str) and text.strip():
            return _sentence(cut(" ".join(text.split()), _MAX_SUMMARY_LENGTH))
    days = context.get("expires_in")
    if isinstance(days, int):
        return certificate_sentence(days)
    if "retrieved" in context:
        return _comparison(context, severity)
    is_fine = severity is Severity.OK
    return "As expected." if is_fine else f"{check} is not as expected."


def _comparison(context: Mapping[str, Any], severity: Severity) -> str:
    found = cut(_fact_text(context["retrieved"]), 60)
    if severity is Severity.OK:
        return f"Found {found}, as expected."
    return f"Found {found}, expected {cut(_fact_text(context.get('expected')), 60)}."


def certificate_sentence(days: int) -> str:
    """How long a certificate lasts."""
    if days < 0:
        return f"The certificate expired {count(-days, 'day')} ago."
    if days == 0:
        return "The certificate expires today."
    return f"The certificate expires in {count(days, 'day')}."


def facts(context: Mapping[str, Any]) -> list[Fact]:
    """A result's findings, in readable words and order."""
    known = [key for key in FACT_NAMES if key in context]
    others = [key for key in context if key not in FACT_NAMES]
    return [
        Fact(
            FACT_NAMES.get(key, cut(str(key), 60)),
            cut(_fact_text(context[key]), _MAX_FACT_LENGTH),
        )
        for key in [*known, *others]
        if context[key] is not None and context[key] != ""
    ]


def without_secrets(url: str) -> str:
    """A URL, or a host, whose password nobody should read on a page."""
    if "@" not in url:
        return url
    if "://" not in url:
        return url.rpartition("@")[2]
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host))


def safe_href(url: str) -> str | None:
    """The URL if a browser may follow it: http or https, nothing else."""
    try:
        scheme = urlsplit(url).scheme.lower()
    except ValueError:
        return None
    return without_secrets(url) if scheme in {"http", "https"} else None


def path_of(url: str) -> str:
    """What of a URL comes after the host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return urlunsplit(("", "", parts.path or "/", parts.query, parts.fragment))


def join(names: list[str]) -> str:
    """Names as a sentence has them: "a", "a and b", "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def plain(value: object) -> object:
    """What templates print: control characters and bidi overrides made visible.

    Runs on every expression; text that is markup already was printed by a template.
    """
    if type(value) is str and not value.isprintable():
        return "\n".join(visible(line) for line in value.split("\n"))
    return value


def _sentence(text: str) -> str:
    return text if text[-1] in ".!?…)" else f"{text}."


def _fact_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return str(type(value).__name__)
