"""Checks of the answer's headers; their names are compared without regard to case."""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from argos.checks.base import (
    BaseCheck,
    Verdict,
    failed,
    header_values,
    parse_json,
    parse_patterns,
    patterns_quirk,
)
from argos.core.probe import ProbeResponse
from argos.core.severity import Status
from argos.core.text import cut
from argos.errors import ExpectedError
from argos.patterns import Pattern

_MAX_VALUE_LENGTH = 200
_encode = json.JSONEncoder(ensure_ascii=False).encode
_SECRET_HEADERS = frozenset({
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "set-cookie2",
})


class HTTPHeadersContain(BaseCheck):
    """The answer has all of these headers."""

    name = "headers-contain"
    is_success_silent = True
    shows_expected = True

    @classmethod
    def parse_expected(cls, expected: str) -> list[str]:
        hint = 'This should be a list of header names, such as ["content-type"].'
        names = parse_json(expected, hint)
        if not isinstance(names, list | dict):
            raise ExpectedError(hint)
        if not all(isinstance(name, str) for name in names):
            raise ExpectedError(f"{hint} Put quotes around names that are numbers.")
        return list(names)

    @classmethod
    def is_met(cls, response: ProbeResponse, wanted: list[str]) -> bool:
        present = header_values(response)
        return all(map(present.__contains__, map(str.lower, wanted)))

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: list[str]) -> Verdict:
        present = header_values(response)
        found = tuple([low for name in wanted if (low := name.lower()) in present])
        facts = {"retrieved": _list_names(found)}
        if cls.is_met(response, wanted):
            return Verdict(Status.SUCCESS, facts)
        missing = [name for name in wanted if name.lower() not in present]
        return failed(f"Missing: {', '.join(missing)}.", facts)


class HTTPHeadersHave(BaseCheck):
    """The answer has all of these headers with exactly these values."""

    name = "headers-have"
    is_success_silent = True
    shows_expected = True

    @classmethod
    def parse_expected(cls, expected: str) -> dict[str, Any]:
        hint = 'This should be a mapping, such as {"content-type": "text/html"}.'
        values = parse_json(expected, hint)
        if not isinstance(values, dict):
            raise ExpectedError(hint)
        return values

    @classmethod
    def legacy_quirk(cls, value: object) -> str | None:
        for name, wanted in cls.parse_expected(cls.encode_expected(value)).items():
            if not isinstance(wanted, str):
                return (
                    f"The header {name} can never have this value, as header values "
                    "are texts: put quotes around it."
                )
        return None

    @classmethod
    def is_met(cls, response: ProbeResponse, wanted: dict[str, Any]) -> bool:
        return not _differing(header_values(response), wanted)

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: dict[str, Any]) -> Verdict:
        found = _values(response, wanted)
        return _verdict(found, _differing(found, wanted))


class HTTPHeadersLike(BaseCheck):
    """The answer has all of these headers, and regular expressions match the values."""

    name = "headers-like"
    shows_expected = True

    @classmethod
    def parse_expected(cls, expected: str) -> dict[str, Pattern]:
        return parse_patterns(
            expected, 'This should be a mapping, such as {"content-type": "^text/"}.'
        )

    @classmethod
    def legacy_quirk(cls, value: object) -> str | None:
        patterns = cls.parse_expected(cls.encode_expected(value))
        return patterns_quirk(value, patterns)

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: dict[str, Pattern]) -> Verdict:
        found = _values(response, wanted)
        wrong = [
            name
            for name, pattern in wanted.items()
            if name.lower() not in found or not pattern.search(found[name.lower()])
        ]
        return _verdict(found, wrong)


@lru_cache(maxsize=1024)
def _list_names(names: tuple[str, ...]) -> str:
    """As JSON; a website has mostly the same ones."""
    return json.dumps(names)


@lru_cache(maxsize=1024)
def _list_values(shown: tuple[tuple[str, str], ...]) -> str:
    return _encode(dict(shown))


def _differing(present: Mapping[str, str], wanted: Mapping[str, Any]) -> list[str]:
    """The names of the headers that are missing, or have another value."""
    return [
        name
        for name, value in wanted.items()
        if (low := name.lower()) not in present or present[low] != value
    ]


def _values(response: ProbeResponse, names: Iterable[str]) -> dict[str, str]:
    """The values of those headers that are there, by lower-case name."""
    present = header_values(response)
    return {low: present[low] for name in names if (low := name.lower()) in present}


def _verdict(found: dict[str, str], wrong: list[str]) -> Verdict:
    shown = [
        (
            name,
            "(hidden)" if name in _SECRET_HEADERS else cut(value, _MAX_VALUE_LENGTH),
        )
        for name, value in found.items()
    ]
    facts = {"retrieved": _list_values(tuple(shown))}
    if not wrong:
        return Verdict(Status.SUCCESS, facts)
    missing = [name for name in wrong if name.lower() not in found]
    other = [name for name in wrong if name.lower() in found]
    reasons = [
        f"{label}: {', '.join(names)}."
        for label, names in [("Missing", missing), ("With another value", other)]
        if names
    ]
    return failed(" ".join(reasons), facts)
