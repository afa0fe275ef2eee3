from datetime import UTC, datetime, timedelta, timezone

import pytest

from argos.checks import FinalizeRules, SSLCertificateExpiration, Verdict
from argos.core.probe import FailureKind
from argos.core.severity import Severity, Status
from tests.checks.outcomes import (
    NOW,
    evaluate,
    make_certificate,
    make_failure,
    make_response,
)

NAME = "ssl-certificate-expiration"
OK, WARNING, CRITICAL = Severity.OK, Severity.WARNING, Severity.CRITICAL
THRESHOLDS = ((1, CRITICAL), (5, WARNING))
EXPIRED, NOT_YET_VALID, UNTRUSTED = 10, 9, 20


def finalize(status, facts, **rules):
    return SSLCertificateExpiration.finalize(
        status,
        facts,
        FinalizeRules(**({"ssl_thresholds": THRESHOLDS} | rules)),
        expected="on-check",
    )


@pytest.mark.parametrize(
    ("value", "expected", "quirk"),
    [
        ("on-check", "on-check", None),
        (
            "5d",
            "5d",
            "The value is not used; the thresholds are in the section ssl.",
        ),
        (True, "True", "The value is not used; the thresholds are in the section ssl."),
    ],
)
def test_any_value_is_taken_and_none_is_used(value, expected, quirk):
    assert SSLCertificateExpiration.encode_expected(value) == expected
    assert SSLCertificateExpiration.legacy_quirk(value) == quirk


@pytest.mark.parametrize(
    ("left", "days"),
    [
        (timedelta(days=40), 40),
        (timedelta(days=40, seconds=-1), 39),
        (timedelta(seconds=1), 0),
        (timedelta(0), 0),
        (timedelta(seconds=-1), -1),
        (timedelta(days=-3), -3),
    ],
    ids=str,
)
def test_whole_days_are_left(left, days):
    certificate = make_certificate(not_after=NOW + left)

    verdict = evaluate(NAME, "on-check", make_response(certificate=certificate))

    assert verdict == Verdict(
        Status.ON_CHECK,
        {"expires_in": days, "expires_at": (NOW + left).isoformat()},
    )


def test_time_zones_do_not_change_the_days():
    """0.10.3 compares local time to UTC, and is a day off nine hours from Greenwich."""
    tokyo = timezone(timedelta(hours=9))
    certificate = make_certificate(
        not_after=(NOW + timedelta(days=2)).astimezone(tokyo)
    )
    response = make_response(certificate=certificate)

    verdict = SSLCertificateExpiration.evaluate(
        response, "on-check", now=NOW.astimezone(tokyo)
    )

    assert verdict.facts["expires_in"] == 2


def test_the_end_of_time_is_no_trouble():
    certificate = make_certificate(not_after=datetime(9999, 12, 31, tzinfo=UTC))

    verdict = evaluate(NAME, "on-check", make_response(certificate=certificate))

    assert verdict.status is Status.ON_CHECK
    assert verdict.facts["expires_in"] > 2_900_000


def test_plain_http_has_no_certificate_to_judge():
    verdict = evaluate(NAME, "on-check", make_response())

    assert verdict.status is Status.ERROR
    assert verdict.facts["error_message"] == (
        "There is no certificate to judge: is the URL https?"
    )


def test_an_expired_certificate_is_left_to_the_server_with_negative_days():
    certificate = make_certificate(
        days=-2, fault="certificate has expired", fault_code=EXPIRED
    )

    verdict = evaluate(
        NAME,
        "on-check",
        make_failure(FailureKind.CERTIFICATE, certificate=certificate),
    )

    assert verdict == Verdict(
        Status.ON_CHECK,
        {
            "expires_in": -2,
            "expires_at": "2026-02-27T12:00:00+00:00",
            "fault": "certificate has expired",
            "subject": "CN=shop.example",
            "issuer": "CN=Example Authority",
        },
    )
    assert finalize(verdict.status, verdict.facts) == (Status.FAILURE, CRITICAL)


@pytest.mark.parametrize(
    ("days", "fault", "code"),
    [
        (40, "the host name does not match", 0),
        (40, "unable to get local issuer certificate", UNTRUSTED),
        (40, "certificate is not yet valid", NOT_YET_VALID),
        (-2, "self-signed certificate", 18),
        pytest.param(40, "certificate has expired", EXPIRED, id="the issuer's expired"),
    ],
)
def test_a_certificate_with_another_fault_is_a_failure(days, fault, code):
    certificate = make_certificate(days=days, fault=fault, fault_code=code)

    verdict = evaluate(
        NAME,
        "on-check",
        make_failure(FailureKind.CERTIFICATE, certificate=certificate),
    )

    assert verdict.status is Status.FAILURE
    assert verdict.facts["expires_in"] == days
    assert verdict.facts["fault"] == fault
    assert verdict.facts["reason"] == f"The certificate was not accepted: {fault}."
    assert finalize(verdict.status, verdict.facts) == (Status.FAILURE, CRITICAL)


def test_a_refused_certificate_has_a_fault_even_if_the_engine_names_none():
    failure = make_failure(
        FailureKind.CERTIFICATE, "Not trusted.", certificate=make_certificate()
    )

    verdict = evaluate(NAME, "on-check", failure)

    assert verdict.status is Status.FAILURE
    assert verdict.facts["fault"] == "Not trusted."


def test_a_good_certificate_counts_although_the_answer_never_came():
    failure = make_failure(FailureKind.TIMEOUT, certificate=make_certificate(days=9))

    verdict = evaluate(NAME, "on-check", failure)

    assert verdict.status is Status.ON_CHECK
    assert verdict.facts["expires_in"] == 9


def test_long_names_are_cut():
    certificate = make_certificate(
        fault="x", subject="CN=" + "a" * 5000, issuer="CN=" + "b" * 5000
    )

    facts = evaluate(NAME, "on-check", make_response(certificate=certificate)).facts

    assert len(facts["subject"]) == len(facts["issuer"]) == 200


@pytest.mark.parametrize(
    ("days", "final"),
    [
        (400, (Status.SUCCESS, OK)),
        (5, (Status.SUCCESS, OK)),
        (4, (Status.FAILURE, WARNING)),
        (1, (Status.FAILURE, WARNING)),
        (0, (Status.FAILURE, CRITICAL)),
        (-9, (Status.FAILURE, CRITICAL)),
        (10**30, (Status.SUCCESS, OK)),
        (None, (Status.ERROR, Severity.UNKNOWN)),
        ("4", (Status.ERROR, Severity.UNKNOWN)),
        (4.0, (Status.ERROR, Severity.UNKNOWN)),
        (True, (Status.ERROR, Severity.UNKNOWN)),
        ([4], (Status.ERROR, Severity.UNKNOWN)),
    ],
    ids=repr,
)
@pytest.mark.parametrize("thresholds", [THRESHOLDS, THRESHOLDS[::-1]])
def test_the_server_judges_by_the_thresholds(days, final, thresholds):
    facts = {"expires_in": days}

    assert finalize(Status.ON_CHECK, facts, ssl_thresholds=thresholds) == final


def test_on_check_without_a_number_of_days_is_unknown():
    assert finalize(Status.ON_CHECK, {}) == (Status.ERROR, Severity.UNKNOWN)


@pytest.mark.parametrize(
    ("thresholds", "final"),
    [
        ((), (Status.SUCCESS, OK)),
        (((5, WARNING), (5, CRITICAL)), (Status.FAILURE, CRITICAL)),
        (((9, CRITICAL), (5, OK)), (Status.FAILURE, OK)),
    ],
)
def test_odd_thresholds(thresholds, final):
    assert finalize(Status.ON_CHECK, {"expires_in": 3}, ssl_thresholds=thresholds) == (
        final
    )


@pytest.mark.parametrize(
    ("status", "facts", "invalid", "final"),
    [
        (Status.FAILURE, {}, CRITICAL, (Status.FAILURE, CRITICAL)),
        (Status.FAILURE, {}, WARNING, (Status.FAILURE, WARNING)),
        (Status.SUCCESS, {}, WARNING, (Status.SUCCESS, WARNING)),
        (Status.FAILURE, {"expires_in": 0}, WARNING, (Status.FAILURE, CRITICAL)),
        (Status.FAILURE, {"expires_in": 40}, WARNING, (Status.FAILURE, WARNING)),
        (
            Status.ON_CHECK,
            {"expires_in": 4, "fault": "x"},
            CRITICAL,
            (Status.FAILURE, CRITICAL),
        ),
        (
            Status.ON_CHECK,
            {"expires_in": 0, "fault": "x"},
            WARNING,
            (Status.FAILURE, CRITICAL),
        ),
        (
            Status.ON_CHECK,
            {"expires_in": 40, "fault": ""},
            CRITICAL,
            (Status.SUCCESS, OK),
        ),
        (Status.ERROR, {"expires_in": 4}, CRITICAL, (Status.ERROR, Severity.UNKNOWN)),
    ],
)
def test_an_invalid_certificate_is_as_bad_as_configured_or_as_its_days(
    status, facts, invalid, final
):
    assert finalize(status, facts, ssl_invalid=invalid) == final


def test_an_expired_certificate_is_never_ok_even_without_thresholds():
    final = finalize(Status.ON_CHECK, {"expires_in": -1}, ssl_thresholds=())

    assert final == (Status.FAILURE, CRITICAL)
