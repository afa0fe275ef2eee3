"""The chain of certificates, and the version of TLS."""

from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec.structs import replace as change

from argos.checks import SSLCertificateValid, SSLMinVersion
from argos.core.probe import (
    Certificate,
    ChainCertificate,
    Details,
    FailureKind,
    Handshake,
    ProbeFailure,
    ProbeResponse,
)
from argos.core.severity import Severity, Status
from argos.errors import ExpectedError
from tests.checks.outcomes import NOW

DAY = timedelta(days=1)
AGREED = Details(handshake=Handshake("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
CERTIFICATE = Certificate(
    not_before=NOW - DAY,
    not_after=NOW + 60 * DAY,
    subject="CN = example.org",
    issuer="CN = Authority",
    key="RSA 2048",
    signature="sha256WithRSAEncryption",
    chain=(
        ChainCertificate(NOW + 30 * DAY, "CN = Authority", "CN = Root", "RSA 4096"),
        ChainCertificate(NOW + 900 * DAY, "CN = Root", "CN = Root", "RSA 4096"),
    ),
)
ANSWER = ProbeResponse(200, certificate=CERTIFICATE, details=AGREED)


def valid(outcome, expected: object = True):
    text = SSLCertificateValid.encode_expected(expected)
    return SSLCertificateValid.evaluate(outcome, text, now=NOW)


def test_a_good_chain_is_told_with_all_ends_and_keys():
    verdict = valid(ANSWER)

    assert verdict.status is Status.SUCCESS
    assert verdict.facts == {
        "expires_in": 60,
        "chain": (
            f"CN = example.org: {NOW + 60 * DAY:%Y-%m-%d} (60 d); "
            f"CN = Authority: {NOW + 30 * DAY:%Y-%m-%d} (30 d); "
            f"CN = Root: {NOW + 900 * DAY:%Y-%m-%d} (900 d)"
        ),
        "issuer": "CN = Authority",
        "key": "RSA 2048",
        "signature": "sha256WithRSAEncryption",
        "protocol": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
    }


@pytest.mark.parametrize(
    ("days", "status"),
    [(0, Status.SUCCESS), (30, Status.SUCCESS), (31, Status.FAILURE)],
)
def test_the_first_certificate_of_the_chain_to_end_counts(days, status):
    verdict = valid(ANSWER, {"days": days})

    assert verdict.status is status
    if status is Status.FAILURE:
        reason = "The certificate of CN = Authority ends in 30 d."
        assert verdict.facts["reason"] == reason


def test_an_expired_authority_is_a_failure_even_where_others_let_it_pass():
    link = replace(CERTIFICATE.chain[0], not_after=NOW - DAY)
    certificate = replace(CERTIFICATE, chain=(link,))

    verdict = valid(change(ANSWER, certificate=certificate))

    assert verdict.status is Status.FAILURE


def test_what_was_not_accepted_is_a_failure_with_its_code():
    certificate = replace(CERTIFICATE, fault="self-signed", fault_code=18)
    outcome = ProbeFailure(
        FailureKind.CERTIFICATE, "No.", certificate=certificate, details=AGREED
    )

    verdict = valid(outcome)

    assert verdict.status is Status.FAILURE
    assert verdict.facts["reason"] == "The certificate was not accepted: self-signed."
    assert verdict.facts["fault_code"] == 18
    assert verdict.facts["protocol"] == "TLSv1.3"


def test_what_was_never_verified_is_not_valid():
    certificate = replace(CERTIFICATE, is_verified=False)
    outcome = ProbeFailure(FailureKind.TLS, "It broke off.", certificate=certificate)

    verdict = valid(outcome)

    assert verdict.status is Status.FAILURE
    assert verdict.facts["reason"] == "It could not be verified: It broke off."


def test_another_trouble_behind_the_handshake_is_not_the_certificates():
    outcome = ProbeFailure(
        FailureKind.PROTOCOL, "Broken.", certificate=CERTIFICATE, details=AGREED
    )

    assert valid(outcome).status is Status.SUCCESS


def test_without_a_certificate_there_is_nothing_to_judge():
    gone = ProbeFailure(FailureKind.CONNECT, "Refused.")

    assert valid(gone).status is Status.FAILURE
    assert valid(ProbeResponse(200)).status is Status.ERROR


@pytest.mark.parametrize(
    "value", [False, 14, "true", {"days": -1}, {"days": True}, {"day": 3}, [], {}]
)
def test_other_values_are_refused(value):
    with pytest.raises(ExpectedError, match="should be true"):
        SSLCertificateValid.encode_expected(value)


@pytest.mark.parametrize("check", [SSLCertificateValid, SSLMinVersion])
def test_both_listen_to_the_handshake(check):
    assert check.wants_handshake
    assert not check.is_legacy
    final = check.finalize(Status.FAILURE, {}, None, expected="true")
    assert final == (Status.FAILURE, Severity.CRITICAL)


@pytest.mark.parametrize(
    ("agreed", "wanted", "status"),
    [
        ("TLSv1.3", "1.2", Status.SUCCESS),
        ("TLSv1.2", "1.2", Status.SUCCESS),
        ("TLSv1.1", 1.2, Status.FAILURE),
        ("TLSv1", "1.1", Status.FAILURE),
        ("TLSv1", 1.0, Status.SUCCESS),
        ("TLSv1.2", 1.3, Status.FAILURE),
        ("SSLv3", "1.0", Status.FAILURE),
    ],
)
def test_versions_are_compared(agreed, wanted, status):
    expected = SSLMinVersion.encode_expected(wanted)
    details = Details(handshake=Handshake(agreed, "A-CIPHER"))

    verdict = SSLMinVersion.evaluate(change(ANSWER, details=details), expected, now=NOW)

    assert verdict.status is status
    assert verdict.facts["retrieved"] == agreed
    assert verdict.facts["cipher"] == "A-CIPHER"


@pytest.mark.parametrize("value", ["1.4", "TLSv1.2", 1, True, [1.2], {}])
def test_other_versions_are_refused(value):
    with pytest.raises(ExpectedError, match="oldest version"):
        SSLMinVersion.encode_expected(value)


def test_without_a_handshake_no_version_is_known():
    gone = ProbeFailure(FailureKind.CONNECT, "Refused.")

    assert SSLMinVersion.evaluate(gone, "1.2", now=NOW).status is Status.FAILURE
    plain = ProbeResponse(200)
    assert SSLMinVersion.evaluate(plain, "1.2", now=NOW).status is Status.ERROR
