"""Checks of the body's text, decoded by its byte order mark, its charset or UTF-8."""

from argos.checks.base import (
    SLOW_PATTERN,
    BaseCheck,
    Verdict,
    failed,
    header_values,
)
from argos.core.probe import ProbeResponse
from argos.core.severity import Status
from argos.core.text import decode_body
from argos.patterns import Pattern, compile_pattern


class HTTPBodyContains(BaseCheck):
    """The body contains this text."""

    name = "body-contains"

    @classmethod
    def parse_expected(cls, expected: str) -> str:
        return expected

    @classmethod
    def legacy_quirk(cls, value: object) -> str | None:
        if value == "":
            return "Every body contains the empty text."
        return _text_quirk(value, cls.encode_expected(value))

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: str) -> Verdict:
        return _verdict(response, is_found=wanted in _text(response))


class HTTPBodyLike(BaseCheck):
    """A regular expression matches somewhere in the body."""

    name = "body-like"

    @classmethod
    def parse_expected(cls, expected: str) -> Pattern:
        return compile_pattern(expected)

    @classmethod
    def legacy_quirk(cls, value: object) -> str | None:
        expected = cls.encode_expected(value)
        if cls.parse_expected(expected).is_slow:
            return f"This regular expression {SLOW_PATTERN}"
        return _text_quirk(value, expected)

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: Pattern) -> Verdict:
        return _verdict(response, is_found=wanted.search(_text(response)))


def _text(response: ProbeResponse) -> str:
    return decode_body(response.body, header_values(response).get("content-type"))


def _text_quirk(value: object, expected: str) -> str | None:
    if isinstance(value, bool | list | dict):
        return f"This is taken for the text “{expected}”; put quotes around a text."
    return None


def _verdict(response: ProbeResponse, *, is_found: bool) -> Verdict:
    if is_found:
        return Verdict(Status.SUCCESS)
    if response.body_is_cut:
        return failed(
            f"Not in the first {len(response.body)} bytes; the body is longer than "
            "what is read of it."
        )
    return failed(f"Not in the body of {len(response.body)} bytes.")
