"""Templates in which people word notices themselves, in Jinja's language.

They come from the config, so that whoever writes them may do whatever the server may; the
sandbox keeps what *stands in a notice*, which websites write, from being more than text.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from argos.errors import TemplateError

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import ImmutableSandboxedEnvironment


@dataclass(frozen=True, slots=True)
class OwnWords:
    """The templates of one channel; what has none is said in our words."""

    title: str | None = None
    text: str | None = None
    """Of all that is below the title."""
    body: str | None = None
    """Of all that is posted, by a webhook."""
    is_json: bool = False
    """Whether that is JSON."""


OUR_WORDS = OwnWords()

SAMPLE: Mapping[str, Any] = {
    "version": 1,
    "id": "7.1.1773489600000000.5f1c",
    "kind": "opened",
    "severity": "critical",
    "at": "2026-03-14T12:00:00Z",
    "title": "❌ example.org (IPv4): status critical",
    "text": 'Reason: it says "no"\\\n',
    "url": "https://argos.example.org/task/7/results",
    "acknowledge_url": "https://argos.example.org/acknowledge/3",
    "agent": None,
    "events": [
        {
            "id": "7.1.1773489600000000.5f1c",
            "kind": "opened",
            "title": "❌ example.org (IPv4): status critical",
            "severity": "critical",
            "previous_severity": "ok",
            "status": "failure",
            "at": "2026-03-14T12:00:00Z",
            "since": "2026-03-14T12:00:00Z",
            "website": "example.org",
            "name": "Company",
            "url": "https://example.org/",
            "ip_version": "4",
            "check": "status-is",
            "task": 7,
            "incident": 3,
            "agent": "anna",
            "reason": 'It says "no".',
            "link": "https://argos.example.org/task/7/results",
            "parent": None,
            "cause": None,
            "cause_name": None,
            "cause_failure": None,
        }
    ],
    "notices": [],
}
"""A document of one event, to try templates with; its keys are those of webhooks."""


SAMPLE_DIGEST: Mapping[str, Any] = {
    **SAMPLE,
    "kind": "digest",
    "events": [*SAMPLE["events"], *SAMPLE["events"]],
    "acknowledge_url": None,
}


def fill_in(
    source: str,
    document: Mapping[str, Any],
    *,
    as_json: bool = False,
    with_gaps: bool = False,
) -> str:
    """The template, filled in with a document as webhooks get it, and with its `event`.

    `event` is the only one of `events`, or None. With `as_json` what is filled in stands
    as it must within a JSON text, and the whole is one. With `with_gaps` what is not
    there is an empty text. Raises TemplateError.
    """
    from jinja2 import TemplateError as Fault

    events = document["events"]
    nothing: dict[str, Any] | None = {} if with_gaps else None
    event = events[0] if len(events) == 1 else nothing
    try:
        template = _compile(source, as_json, with_gaps)
        filled = template.render({**document, "event": event})
        if as_json:
            json.loads(filled)
    except json.JSONDecodeError as err:
        raise TemplateError(f"it is not JSON once it is filled in: {err}") from err
    except Fault as err:
        raise TemplateError(str(err)) from err
    except Exception as err:  # a template is a program, and may fail in any way
        raise TemplateError(f"{type(err).__name__}: {err}") from err
    return filled


def fill_in_anyhow(source: str, document: Mapping[str, Any], *, as_json: bool) -> str:
    """The template, with gaps where it does not fit; raises TemplateError."""
    try:
        return fill_in(source, document, as_json=as_json)
    except TemplateError:
        return fill_in(source, document, as_json=as_json, with_gaps=True)


def check_template(source: str) -> None:
    """Raise TemplateError for what cannot be filled in."""
    fill_in(source, SAMPLE)


def check_body(source: str, *, as_json: bool) -> None:
    """Raise TemplateError unless it can be filled in with one event and with several."""
    fill_in(source, SAMPLE, as_json=as_json)
    try:
        fill_in_anyhow(source, SAMPLE_DIGEST, as_json=as_json)
    except TemplateError as err:
        raise TemplateError(f"with several events, {err}") from err


@lru_cache(maxsize=256)
def _compile(source: str, as_json: bool, with_gaps: bool) -> "Template":
    return _environment(as_json, with_gaps).from_string(source)


@lru_cache(maxsize=4)
def _environment(as_json: bool, with_gaps: bool) -> "ImmutableSandboxedEnvironment":
    # Loaded where somebody has a template; most have none.
    from jinja2 import ChainableUndefined, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # It makes plain text: a channel that sends HTML escapes all of it.
    return ImmutableSandboxedEnvironment(
        undefined=ChainableUndefined if with_gaps else StrictUndefined,
        finalize=_within_json if as_json else _or_nothing,
    )


def _or_nothing(value: Any) -> Any:
    return "" if value is None else value


def _within_json(value: Any) -> Any:
    """A text as it stands between quotes in JSON; other values as JSON has them.

    What is not known is nothing there, too, for it mostly stands between quotes.
    """
    if value is None:
        return ""
    from jinja2 import Undefined

    if isinstance(value, Undefined) or hasattr(
        value, "__html__"
    ):  # the latter by `tojson`
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text[1:-1] if isinstance(value, str) else text
