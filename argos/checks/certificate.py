"""Checks of the certificate; the server judges them, by the config's thresholds."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from argos.checks.base import (
    BaseCheck,
    Facts,
    FinalizeRules,
    Verdict,
    failed,
    finalize_by_status,
    judge_failure,
)
from argos.core.probe import Certificate, FailureKind, Outcome, ProbeFailure
from argos.core.severity import Severity, Status, worst
from argos.core.text import cut

_ON_CHECK = "on-check"
_HAS_EXPIRED = 10
"""X509_V_ERR_CERT_HAS_EXPIRED; also given when an issuer's certificate is expired."""
_MAX_NAME_LENGTH = 200


class SSLCertificateExpiration(BaseCheck):
    """The certificate is valid, and will be for longer than the thresholds ask."""

    name = "ssl-certificate-expiration"

    @classmethod
    def parse_expected(cls, expected: str) -> str:
        return expected

    @classmethod
    def legacy_quirk(cls, value: object) -> str | None:
        if value == _ON_CHECK:
            return None
        return "The value is not used; the thresholds are in the section ssl."

    @classmethod
    def decide(cls, outcome: Outcome, wanted: str, *, now: datetime) -> Verdict:
        certificate = outcome.certificate
        if certificate is None:
            if isinstance(outcome, ProbeFailure):
                return judge_failure(outcome)
            raise ValueError("There is no certificate to judge: is the URL https?")
        fault = certificate.fault
        if (
            isinstance(outcome, ProbeFailure)
            and outcome.kind is FailureKind.CERTIFICATE
        ):
            fault = fault or outcome.message
        return _judge(certificate, fault, now)

    @classmethod
    def badness(cls, facts: Facts) -> float:
        return -float(_whole_days(facts) or 0)

    @classmethod
    def finalize(
        cls,
        status: Status,
        facts: Facts,
        rules: FinalizeRules,
        *,
        expected: str,
    ) -> tuple[Status, Severity]:
        days = _whole_days(facts)
        if status is Status.ERROR or (status is Status.ON_CHECK and days is None):
            return finalize_by_status(Status.ERROR)
        found = list(_soon_expired(days, rules))
        if status is not Status.ON_CHECK or _is_invalid(facts, days):
            found.append(rules.ssl_invalid)
        final = status
        if status is Status.ON_CHECK:
            final = Status.FAILURE if found else Status.SUCCESS
        return final, worst(found)


def _judge(certificate: Certificate, fault: str | None, now: datetime) -> Verdict:
    days = (certificate.not_after - now).days
    facts: dict[str, Any] = {
        "expires_in": days,
        "expires_at": certificate.not_after.isoformat(timespec="seconds"),
    }
    if fault is None:
        return Verdict(Status.ON_CHECK, facts)
    facts |= {
        "fault": fault,
        "subject": cut(certificate.subject, _MAX_NAME_LENGTH),
        "issuer": cut(certificate.issuer, _MAX_NAME_LENGTH),
    }
    # The days say it all, to servers of 0.10.3 too, but only if it is this certificate
    # that expired and not its issuer's.
    if certificate.fault_code == _HAS_EXPIRED and days < 0:
        return Verdict(Status.ON_CHECK, facts)
    return failed(f"The certificate was not accepted: {fault}.", facts)


def _whole_days(facts: Facts) -> int | None:
    days = facts.get("expires_in")
    return days if isinstance(days, int) and not isinstance(days, bool) else None


def _is_invalid(facts: Facts, days: int | None) -> bool:
    return bool(facts.get("fault")) or (days is not None and days < 0)


def _soon_expired(days: int | None, rules: FinalizeRules) -> Iterator[Severity]:
    """The severity of the threshold that is passed, if one is; the worst of equals."""
    if days is None:
        return
    for limit, severity in sorted(
        rules.ssl_thresholds, key=lambda threshold: (threshold[0], -threshold[1].rank)
    ):
        if days < limit:
            yield severity
            return
