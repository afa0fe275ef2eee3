"""Checks of how long an answer took; the server judges, by the expected limits."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from argos.checks.base import (
    BaseCheck,
    Facts,
    FinalizeRules,
    Verdict,
    encode_json,
    finalize_by_status,
    parse_json,
)
from argos.core.probe import ProbeResponse, Timings
from argos.core.severity import Severity, Status
from argos.errors import ExpectedError

_HINT = (
    "This should be a limit such as 2000 (milliseconds), 800ms or 2s, or a mapping "
    "with warning, critical or both, and perhaps a phase."
)
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(ms|s)", re.ASCII)
_MAX_LIMIT_MS = 3_600_000
_LARGEST_MS = 1e12
"""No probe takes that long; keeps infinity and NaN out."""
_KEYS = ("phase", "warning", "critical")


class Phase(StrEnum):
    """A part of a probe that takes time."""

    DNS = "dns"
    """Resolving the name."""
    CONNECT = "connect"
    """Making the connection."""
    TLS = "tls"
    """The handshake."""
    FIRST_BYTE = "first-byte"
    """From the request sent to the first byte of the answer."""
    TRANSFER = "transfer"
    """From the first byte of the answer to its last."""
    TOTAL = "total"
    """All of them together."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When an answer is too slow, in milliseconds."""

    phase: Phase
    warning: float
    """Infinite where there is no such limit."""
    critical: float

    def severity(self, elapsed_ms: float) -> Severity:
        """How bad it is that it took this long."""
        if elapsed_ms > self.critical:
            return Severity.CRITICAL
        return Severity.WARNING if elapsed_ms > self.warning else Severity.OK


class ResponseTime(BaseCheck):
    """The answer, or one phase of it, takes no longer than the limits.

    What our own measuring may have added, when the agent was busy, is not counted.
    """

    name = "response-time"
    passing_facts = frozenset({"elapsed_ms", "error_ms"})
    is_legacy = False

    @classmethod
    def encode_expected(cls, value: object) -> str:
        if not isinstance(value, dict):
            value = {"critical": value}
        unknown = [key for key in value if key not in _KEYS]
        if unknown:
            raise ExpectedError(f"There is no {unknown[0]} here. {_HINT}")
        limits = {key: _milliseconds(value[key]) for key in _KEYS[1:] if key in value}
        text = encode_json({"phase": value.get("phase", Phase.TOTAL), **limits})
        cls.parse_expected(text)
        return text

    @classmethod
    def parse_expected(cls, expected: str) -> Limits:
        parsed = parse_json(expected, _HINT)
        if not isinstance(parsed, dict):
            raise ExpectedError(_HINT)
        limits = [_limit(parsed, key) for key in _KEYS[1:]]
        if all(map(math.isinf, limits)):
            raise ExpectedError(f"There is no limit. {_HINT}")
        if limits[0] > limits[1] and not math.isinf(limits[0]):
            raise ExpectedError("The limit warning is above the limit critical.")
        return Limits(_phase(parsed.get("phase")), *limits)

    @classmethod
    def judge(cls, response: ProbeResponse, wanted: Limits) -> Verdict:
        elapsed_us = _elapsed_us(response.timings, wanted.phase)
        if elapsed_us is None:
            raise ValueError(f"The probe did not measure the phase {wanted.phase}.")
        facts: dict[str, Any] = {
            "phase": wanted.phase.value,
            "elapsed_ms": round(elapsed_us / 1000, 3),
        }
        if response.timings.timing_error_us:
            facts["error_ms"] = round(response.timings.timing_error_us / 1000, 3)
        return Verdict(Status.ON_CHECK, facts)

    @classmethod
    def badness(cls, facts: Facts) -> float:
        return _number(facts.get("elapsed_ms")) or 0.0

    @classmethod
    def finalize(
        cls,
        status: Status,
        facts: Facts,
        rules: FinalizeRules,
        *,
        expected: str,
    ) -> tuple[Status, Severity]:
        if status is not Status.ON_CHECK:
            return finalize_by_status(status)
        elapsed_ms = _number(facts.get("elapsed_ms"))
        error_ms = _number(facts.get("error_ms", 0))
        try:
            limits = cls.parse_expected(expected)
        except ExpectedError:
            return finalize_by_status(Status.ERROR)
        if elapsed_ms is None or error_ms is None:
            return finalize_by_status(Status.ERROR)
        severity = limits.severity(elapsed_ms - error_ms)
        final = Status.SUCCESS if severity is Severity.OK else Status.FAILURE
        return final, severity


def _milliseconds(value: object) -> int | float:
    """A limit as the user wrote it."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ExpectedError(f"“{value}” is not a limit. {_HINT}")
        value = float(match[1]) * (1000 if match[2] == "s" else 1)
    number = _number(value)
    if number is None or not 0 < number <= _MAX_LIMIT_MS:
        raise ExpectedError(f"A limit is between 0 and an hour. {_HINT}")
    return int(number) if number == int(number) else round(number, 3)


def _limit(parsed: Mapping[str, Any], key: str) -> float:
    if key not in parsed:
        return math.inf
    number = _number(parsed[key])
    if number is None:
        raise ExpectedError(_HINT)
    return number


def _phase(value: Any) -> Phase:
    try:
        return Phase(value)
    except ValueError as err:
        raise ExpectedError(f"The phase is one of {', '.join(Phase)}.") from err


def _number(value: object) -> float | None:
    """A finite number, from outside."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LARGEST_MS else None


def _elapsed_us(timings: Timings, phase: Phase) -> int | None:
    return {
        Phase.DNS: timings.dns_us,
        Phase.CONNECT: timings.connect_us,
        Phase.TLS: timings.tls_us,
        Phase.FIRST_BYTE: timings.first_byte_us,
        Phase.TRANSFER: timings.transfer_us,
        Phase.TOTAL: timings.total_us,
    }[phase]
