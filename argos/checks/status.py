"""Checks of the status code."""

from typing import Any

from argos.checks.base import BaseCheck, Verdict, failed, never_codes, parse_json
from argos.core.probe import ProbeResponse
from argos.core.severity import Status
from argos.errors import ExpectedError


class HTTPStatus(BaseCheck):
    """The status code is this one."""

    name = "status-is"
    sees_only_status = True
    is_success_silent = True

    @classmethod
    def parse_expected(cls, expected: str) -> int:
        try:
            return int(expected)
        except ValueError as err:
            raise ExpectedError(
                "This should be one status code, such as 200; for several of them "
                "there is status-in."
            ) from err

    @classmethod
    def legacy_quirk(cls, value: object) -> str | None:
        return never_codes([cls.parse_expected(cls.encode_expected(value))])

    @classmethod
    def is_met(cls, response: ProbeResponse, wanted: int) -> bool:
        return response.status_code == wanted

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: int) -> Verdict:
        code = response.status_code
        facts = {"expected": wanted, "retrieved": code}
        if cls.is_met(response, wanted):
            return Verdict(Status.SUCCESS, facts)
        return failed(f"The status code is {code} instead of {wanted}.", facts)


class HTTPStatusIn(BaseCheck):
    """The status code is one of these."""

    name = "status-in"
    sees_only_status = True
    shows_expected = True

    @classmethod
    def parse_expected(cls, expected: str) -> list[Any]:
        hint = "This should be a list of status codes, such as [200, 301]."
        codes = parse_json(expected, hint)
        if not isinstance(codes, list | dict):
            raise ExpectedError(hint)
        return list(codes)

    @classmethod
    def legacy_quirk(cls, value: object) -> str | None:
        return never_codes(cls.parse_expected(cls.encode_expected(value)))

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: list[Any]) -> Verdict:
        code = response.status_code
        facts = {"retrieved": code}
        if code in wanted:
            return Verdict(Status.SUCCESS, facts)
        return failed(f"The status code is {code}.", facts)
