"""Checks of the handshake: the whole chain, and the version of TLS."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from argos.checks.base import (
    BaseCheck,
    Verdict,
    encode_json,
    failed,
    judge_failure,
    parse_json,
)
from argos.core.options import TLSVersion
from argos.core.probe import Certificate, FailureKind, Outcome, ProbeFailure
from argos.core.severity import Status
from argos.core.text import cut
from argos.errors import ExpectedError

MAX_DAYS = 10_000
_MAX_NAME_LENGTH = 200
_MAX_CHAIN_FACTS = 8
_NOT_TLS = "There is no handshake to judge: is the URL https?"


@dataclass(frozen=True, slots=True)
class _End:
    """When a certificate of a chain ends, and whose it is."""

    at: datetime
    subject: str


class SSLCertificateValid(BaseCheck):
    """The chain of certificates is complete, trusted, in time and for this host.

    With `days`, none of the chain may end sooner than in so many days.
    """

    name = "ssl-certificate-valid"
    is_legacy = False
    wants_handshake = True

    @classmethod
    def encode_expected(cls, value: object) -> str:
        text = encode_json(value)
        cls.parse_expected(text)
        return text

    @classmethod
    def parse_expected(cls, expected: str) -> int:
        hint = "This should be true, or a mapping with days, such as {days: 14}."
        match parse_json(expected, hint):
            case True:
                return 0
            case {"days": int() as days, **others} if not others:
                if not isinstance(days, bool) and 0 <= days <= MAX_DAYS:
                    return days
        raise ExpectedError(hint)

    @classmethod
    def decide(cls, outcome: Outcome, wanted: int, *, now: datetime) -> Verdict:
        certificate = outcome.certificate
        if certificate is None:
            if isinstance(outcome, ProbeFailure):
                return judge_failure(outcome)
            raise ValueError(_NOT_TLS)
        facts = _facts(certificate, outcome, now)
        if certificate.fault is not None:
            return failed(
                f"The certificate was not accepted: {certificate.fault}.", facts
            )
        if isinstance(outcome, ProbeFailure) and (
            not certificate.is_verified or outcome.kind is FailureKind.CERTIFICATE
        ):
            return failed(f"It could not be verified: {outcome.message}", facts)
        first = min(_ends(certificate), key=lambda end: end.at)
        if first.at - now < timedelta(days=wanted):
            days = (first.at - now).days
            return failed(
                f"The certificate of {first.subject} ends in {days} d.", facts
            )
        return Verdict(Status.SUCCESS, facts)


class SSLMinVersion(BaseCheck):
    """The website and we agree on this version of TLS, or on a newer one.

    That it speaks an older one is only seen where the option `tls_min` lets us.
    """

    name = "ssl-min-version"
    is_legacy = False
    wants_handshake = True
    shows_expected = True

    @classmethod
    def encode_expected(cls, value: object) -> str:
        # In YAML, 1.2 is a number.
        text = str(value) if isinstance(value, float) else value
        if not isinstance(text, str):
            raise ExpectedError(_VERSION_HINT)
        cls.parse_expected(text)
        return text

    @classmethod
    def parse_expected(cls, expected: str) -> TLSVersion:
        try:
            return TLSVersion(expected)
        except ValueError as err:
            raise ExpectedError(_VERSION_HINT) from err

    @classmethod
    def decide(cls, outcome: Outcome, wanted: TLSVersion, *, now: datetime) -> Verdict:
        agreed = outcome.details.handshake
        if agreed is None:
            if isinstance(outcome, ProbeFailure):
                return judge_failure(outcome)
            raise ValueError(_NOT_TLS)
        facts = {
            "expected": wanted.value,
            "retrieved": agreed.protocol,
            "cipher": agreed.cipher,
        }
        if _as_version(agreed.protocol) >= wanted:
            return Verdict(Status.SUCCESS, facts)
        return failed(f"The website speaks {agreed.protocol}.", facts)


_VERSION_HINT = 'This should be the oldest version that will do, such as "1.2".'


def _as_version(protocol: str) -> str:
    """OpenSSL's "TLSv1.2" as a text that sorts as versions do; its first is "TLSv1"."""
    name, _, version = protocol.partition("v")
    return (version if "." in version else "1.0") if name == "TLS" else "0"


def _facts(certificate: Certificate, outcome: Outcome, now: datetime) -> dict[str, Any]:
    chain = [
        f"{cut(end.subject, _MAX_NAME_LENGTH)}: {end.at:%Y-%m-%d}"
        f" ({(end.at - now).days} d)"
        for end in list(_ends(certificate))[:_MAX_CHAIN_FACTS]
    ]
    facts: dict[str, Any] = {
        "expires_in": (certificate.not_after - now).days,
        "chain": "; ".join(chain),
        "issuer": cut(certificate.issuer, _MAX_NAME_LENGTH),
        "key": certificate.key,
        "signature": certificate.signature,
    }
    agreed = outcome.details.handshake
    if agreed is not None:
        facts |= {"protocol": agreed.protocol, "cipher": agreed.cipher}
    if certificate.fault is not None:
        facts["fault"] = certificate.fault
        facts["fault_code"] = certificate.fault_code
    return facts


def _ends(certificate: Certificate) -> Iterator[_End]:
    yield _End(certificate.not_after, certificate.subject)
    for link in certificate.chain:
        yield _End(link.not_after, link.subject)
