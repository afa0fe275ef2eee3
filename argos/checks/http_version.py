"""The check of the version of HTTP."""

from typing import Any

from argos.checks.base import BaseCheck, Verdict, encode_json, failed, parse_json
from argos.core.probe import ProbeResponse
from argos.core.severity import Status
from argos.errors import ExpectedError

_HINT = 'This should be a version, "1.0", "1.1", "2" or "3", or a list of such.'
_VERSIONS = frozenset({"1.0", "1.1", "2", "3"})


class HTTPVersionIs(BaseCheck):
    """The answer comes over this version of HTTP, or over one of these.

    What is offered to the website is an option of the probe, `http_version`.
    """

    name = "http-version"
    is_legacy = False
    shows_expected = True

    @classmethod
    def encode_expected(cls, value: object) -> str:
        values = value if isinstance(value, list) else [value]
        # In YAML, 2 is a whole number, and 1.1 another one.
        versions = [
            str(each) if type(each) in {int, float} else each for each in values
        ]
        text = encode_json(versions)
        cls.parse_expected(text)
        return text

    @classmethod
    def parse_expected(cls, expected: str) -> list[str]:
        versions = parse_json(expected, _HINT)
        if not isinstance(versions, list) or not versions:
            raise ExpectedError(_HINT)
        if not all(isinstance(each, str) and each in _VERSIONS for each in versions):
            raise ExpectedError(_HINT)
        return versions

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: list[str]) -> Verdict:
        version = response.http_version
        facts: dict[str, Any] = {"retrieved": version}
        if version in wanted:
            return Verdict(Status.SUCCESS, facts)
        return failed(f"The answer came over HTTP/{version}.", facts)
