"""What checks judge, with sane defaults, and the shortest way to ask them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from argos.checks import Verdict, get_registered_check
from argos.core.probe import (
    Certificate,
    FailureKind,
    Outcome,
    ProbeFailure,
    ProbeResponse,
    Timings,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make_response(
    body: bytes | str = b"",
    *,
    status_code: int = 200,
    headers: tuple[tuple[str, str], ...] = (),
    **values: Any,
) -> ProbeResponse:
    content = body.encode() if isinstance(body, str) else body
    return ProbeResponse(status_code, headers, content, **values)


def make_failure(
    kind: FailureKind = FailureKind.CONNECT, message: str = "Refused.", **values: Any
) -> ProbeFailure:
    return ProbeFailure(kind, message, **values)


def make_certificate(*, days: float = 40, **values: Any) -> Certificate:
    defaults: dict[str, Any] = {
        "not_before": NOW - timedelta(days=30),
        "not_after": NOW + timedelta(days=days),
        "subject": "CN=shop.example",
        "issuer": "CN=Example Authority",
    }
    return Certificate(**(defaults | values))


def make_timings(**phases: int) -> Timings:
    return Timings(**phases)


def evaluate(check: str, expected: str, outcome: Outcome) -> Verdict:
    return get_registered_check(check).evaluate(outcome, expected, now=NOW)
