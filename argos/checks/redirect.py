"""Checks of redirects."""

import re
from collections.abc import Container
from dataclasses import replace
from typing import Any

from argos.checks.base import (
    BaseCheck,
    Verdict,
    encode_json,
    failed,
    never_codes,
    parse_json,
)
from argos.core.probe import Probe, ProbeResponse
from argos.core.severity import Status
from argos.errors import ExpectedError

_ANY_REDIRECT = {"range": [300, 400]}
_FORMS = (
    "true (any redirect), a code from 300 to 399, a list of codes, or a mapping with "
    "start and stop (the first code that is too high)"
)
_HTTPS_URL = re.compile(
    r"https://(?P<authority>[^/?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)


class HTTPToHTTPS(BaseCheck):
    """Plain http is answered with a redirect.

    The request goes to the same address with the scheme http. An explicit port stays,
    except 443, which becomes http's own.
    """

    name = "http-to-https"
    # It is the first answer that counts, and it comes over plain http: nothing that
    # should not be read on the way is sent.
    unwanted_options = frozenset({
        *("follow", "auth", "client_certificate", "tls_min", "http_version")
    })
    shows_expected = True

    @classmethod
    def encode_expected(cls, value: object) -> str:
        text = encode_json(_form(value) or _ANY_REDIRECT)
        cls.parse_expected(text)
        return text

    @classmethod
    def legacy_quirk(cls, value: object) -> str | None:
        match _form(value):
            case None:
                return f"This is taken for true, any redirect; write {_FORMS}."
            case {"list": list() as codes}:
                return never_codes(codes)
            case {"range": [start, stop]} if start >= stop:
                return f"No code lies between {start} and {stop}."
        return None

    @classmethod
    def parse_expected(cls, expected: str) -> Container[Any]:
        hint = f"This should be {_FORMS}."
        match parse_json(expected, hint):
            case {"list": list() as codes}:
                return codes
            case {"value": int() as code}:
                return (code,)
            case {"range": [int() as start, int() as stop]}:
                return range(start, stop)
        raise ExpectedError(hint)

    @classmethod
    def prepare_probe(cls, probe: Probe) -> Probe:
        match = _HTTPS_URL.fullmatch(probe.url)
        if match is None:
            return probe
        authority = match["authority"].removesuffix(":443")
        return replace(probe, url=f"http://{authority}{match['rest']}")

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: Container[Any]) -> Verdict:
        code = response.status_code
        facts = {"retrieved": code}
        if code in wanted:
            return Verdict(Status.SUCCESS, facts)
        return failed(f"Over plain http the status code is {code}.", facts)


def _form(value: object) -> dict[str, Any] | None:
    """What is stored for a config value; None where 0.10.3 silently takes its default.

    A value left out means the same as true.
    """
    if value is True or value is None:
        return _ANY_REDIRECT
    if isinstance(value, list):
        return {"list": value}
    if isinstance(value, dict) and {"start", "stop"} <= value.keys():
        return {"range": [value["start"], value["stop"]]}
    if isinstance(value, int) and 300 <= value < 400:
        return {"value": value}
    return None
