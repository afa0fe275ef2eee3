"""Checks of a JSON body; places in it are named by JSON pointers, as in RFC 6901."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from argos.checks.base import (
    BaseCheck,
    Verdict,
    failed,
    parse_json,
    parse_patterns,
    patterns_quirk,
)
from argos.core.json_document import (
    excerpt,
    first_difference,
    read_json,
    resolve,
    to_json,
)
from argos.core.probe import ProbeResponse
from argos.core.severity import Status
from argos.errors import ExpectedError, UnreadableJSON
from argos.patterns import Pattern

_MAX_VALUE_LENGTH = 200
_Found = dict[str, Any]
"""What the body holds at those pointers that lead somewhere."""


class HTTPJsonContains(BaseCheck):
    """The body is JSON and has something at all of these pointers."""

    name = "json-contains"
    shows_expected = True

    @classmethod
    def parse_expected(cls, expected: str) -> list[str]:
        hint = 'This should be a list of JSON pointers, such as ["/status"].'
        pointers = parse_json(expected, hint)
        if not isinstance(pointers, list | dict):
            raise ExpectedError(hint)
        if not all(isinstance(pointer, str) for pointer in pointers):
            raise ExpectedError(hint)
        return list(pointers)

    @classmethod
    def legacy_quirk(cls, value: object) -> str | None:
        return _pointer_quirk(cls.parse_expected(cls.encode_expected(value)))

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: list[str]) -> Verdict:
        return _compare(response, wanted, lambda *_: True)


class HTTPJsonHas(BaseCheck):
    """The body is JSON and has exactly these values at these pointers."""

    name = "json-has"
    shows_expected = True

    @classmethod
    def parse_expected(cls, expected: str) -> dict[str, Any]:
        hint = 'This should be a mapping of JSON pointers, such as {"/status": "up"}.'
        values = parse_json(expected, hint)
        if not isinstance(values, dict):
            raise ExpectedError(hint)
        return values

    @classmethod
    def legacy_quirk(cls, value: object) -> str | None:
        return _pointer_quirk(cls.parse_expected(cls.encode_expected(value)))

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: dict[str, Any]) -> Verdict:
        return _compare(
            response,
            wanted,
            lambda pointer, value: first_difference(wanted[pointer], value) is None,
        )


class HTTPJsonLike(BaseCheck):
    """The body is JSON and regular expressions match the texts at these pointers."""

    name = "json-like"
    shows_expected = True

    @classmethod
    def parse_expected(cls, expected: str) -> dict[str, Pattern]:
        return parse_patterns(
            expected,
            'This should be a mapping of JSON pointers, such as {"/status": "^up"}.',
        )

    @classmethod
    def legacy_quirk(cls, value: object) -> str | None:
        patterns = cls.parse_expected(cls.encode_expected(value))
        return _pointer_quirk(patterns) or patterns_quirk(value, patterns)

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: dict[str, Pattern]) -> Verdict:
        return _compare(
            response,
            wanted,
            lambda pointer, value: (
                isinstance(value, str) and wanted[pointer].search(value)
            ),
        )


class HTTPJsonIs(BaseCheck):
    """The body is exactly this JSON."""

    name = "json-is"
    shows_expected = True

    @classmethod
    def parse_expected(cls, expected: str) -> Any:
        return parse_json(
            expected,
            'This should be JSON, such as \'{"status": "up"}\'; true, false, null and '
            "texts need quotes around them in the config, as in '\"up\"'.",
        )

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: Any) -> Verdict:
        try:
            document = _read(response)
        except UnreadableJSON as err:
            return failed(str(err))
        place = first_difference(wanted, document)
        if place is None:
            facts = {"retrieved": to_json(excerpt(document, _MAX_VALUE_LENGTH))}
            return Verdict(Status.SUCCESS, facts)
        facts = _facts(_resolve_all(document, [place]))
        where = f"at {place}" if place else "as a whole"
        return failed(f"The answer is not the expected JSON, {where}.", facts)


def _read(response: ProbeResponse) -> Any:
    if response.body_is_cut:
        raise UnreadableJSON(
            "The answer is longer than what is read of it, so its JSON is incomplete."
        )
    return read_json(response.body)


def _compare(
    response: ProbeResponse,
    pointers: Iterable[str],
    holds: Callable[[str, Any], bool],
) -> Verdict:
    """Look at what the body has at each pointer, and whether that is as it should be."""
    try:
        document = _read(response)
    except UnreadableJSON as err:
        return failed(str(err))
    found = _resolve_all(document, pointers)
    missing = [pointer for pointer in pointers if pointer not in found]
    wrong = [pointer for pointer, value in found.items() if not holds(pointer, value)]
    reasons = [
        f"{label}: {', '.join(map(to_json, places))}."
        for label, places in [("Missing", missing), ("With another value", wrong)]
        if places
    ]
    if reasons:
        return failed(" ".join(reasons), _facts(found))
    return Verdict(Status.SUCCESS, _facts(found))


def _resolve_all(document: Any, pointers: Iterable[str]) -> _Found:
    found = {}
    for pointer in pointers:
        with suppress(LookupError):
            found[pointer] = resolve(document, pointer)
    return found


def _facts(found: _Found) -> dict[str, str]:
    shown = {
        pointer: excerpt(value, _MAX_VALUE_LENGTH) for pointer, value in found.items()
    }
    return {"retrieved": to_json(shown)}


def _pointer_quirk(pointers: Iterable[str]) -> str | None:
    for pointer in pointers:
        if pointer and not pointer.startswith("/"):
            return f"{to_json(pointer)} never leads anywhere: pointers begin with /."
    return None
