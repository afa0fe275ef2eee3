"""What holds for every check, whatever websites, agents and users send."""

import json

from hypothesis import HealthCheck, given, settings, strategies as st

from argos.checks import (
    FinalizeRules,
    get_registered_check,
    get_registered_checks,
)
from argos.checks.base import MAX_FACTS_BYTES, is_plain_success
from argos.core.probe import (
    Certificate,
    FailureKind,
    Outcome,
    ProbeFailure,
    ProbeResponse,
    Timings,
)
from argos.core.severity import Severity, Status
from argos.errors import ExpectedError
from tests.checks.outcomes import NOW, evaluate, make_response

# A busy machine is no reason to fail.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SERVER_JUDGES = {"ssl-certificate-expiration", "response-time"}
NEED_HANDSHAKE = {"ssl-certificate-valid", "ssl-min-version"}
"""Of an answer over plain http they can say nothing."""
NAMES = st.sampled_from([*get_registered_checks()])

SILENT = [
    name for name, check in get_registered_checks().items() if check.is_success_silent
]

small = st.integers(-(2**70), 2**70) | st.none()
moments = st.datetimes(timezones=st.just(NOW.tzinfo)) | st.datetimes()
timings = st.builds(Timings, *[small] * 6, st.integers(0, 2**70))
certificates = st.builds(
    Certificate,
    not_before=moments,
    not_after=moments,
    subject=st.text(),
    issuer=st.text(),
    fault=st.none() | st.text(),
    fault_code=st.integers(0, 100),
)
responses = st.builds(
    ProbeResponse,
    status_code=st.integers(-5, 2000),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["content-type", "a", "set-cookie"]) | st.text(),
            st.sampled_from(["text/html; charset=utf-7", "1"]) | st.text(),
        )
    ).map(tuple),
    body=st.binary() | st.sampled_from([b'{"a": [1, "x"]}', b"[" * 5000, b"1" * 5000]),
    body_is_cut=st.booleans(),
    timings=timings,
    certificate=st.none() | certificates,
    remote_address=st.none() | st.text(),
)
failures = st.builds(
    ProbeFailure,
    kind=st.sampled_from(FailureKind),
    message=st.text(st.characters(), max_size=9000),
    timings=timings,
    certificate=st.none() | certificates,
    remote_address=st.none() | st.text(),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
expected_texts = (
    st.text()
    | json_values.map(json.dumps)
    | st.sampled_from(["200", '["/a/0"]', '{"/a": [1, "x"]}', '{"a": "1"}', "on-check"])
)


@settings(patient, max_examples=200)
@given(name=NAMES, expected=expected_texts, outcome=responses | failures)
def test_evaluate_never_raises_and_its_facts_are_small_json(
    name: str, expected: str, outcome: Outcome
) -> None:
    verdict = evaluate(name, expected, outcome)

    assert verdict.status in Status
    assert len(json.dumps(verdict.facts, allow_nan=False).encode()) <= MAX_FACTS_BYTES
    assert not {"config", "result", "cls"} & verdict.facts.keys()
    if verdict.status is Status.ON_CHECK:
        assert name in SERVER_JUDGES


@settings(patient, max_examples=300)
@given(
    name=st.sampled_from(SILENT),
    expected=expected_texts
    | st.sampled_from(["[]", '["A", "set-cookie"]', '{"A": "1"}', '{"b": null}', "{}"]),
    response=responses,
)
def test_plain_success_is_one_that_only_repeats_what_was_expected(
    name: str, expected: str, response: ProbeResponse
) -> None:
    is_plain = is_plain_success(name, expected, response)

    verdict = evaluate(name, expected, response)
    assert is_plain == (verdict.status is Status.SUCCESS)
    if is_plain:
        assert verdict.facts.keys() == {"expected", "retrieved"}


@settings(patient, max_examples=200)
@given(
    name=NAMES,
    status=st.sampled_from(Status),
    facts=st.dictionaries(
        st.sampled_from(["expires_in", "elapsed_ms", "error_ms", "fault"]) | st.text(),
        json_values,
    ),
    expected=expected_texts,
    thresholds=st.lists(
        st.tuples(
            st.integers(-5, 400),
            st.sampled_from([Severity.OK, Severity.WARNING, Severity.CRITICAL]),
        )
    ).map(tuple),
)
def test_finalize_never_raises_and_never_leaves_on_check(
    name, status, facts, expected, thresholds
):
    rules = FinalizeRules(ssl_thresholds=thresholds)

    final, severity = get_registered_check(name).finalize(
        status, facts, rules, expected=expected
    )

    assert final is not Status.ON_CHECK
    assert (final is Status.ERROR) == (severity is Severity.UNKNOWN)


@settings(patient, max_examples=200)
@given(name=NAMES, value=json_values)
def test_a_value_is_encoded_and_usable_or_refused(name, value):
    check = get_registered_check(name)

    try:
        text = check.encode_expected(value)
    except ExpectedError:
        return

    check.parse_expected(text)
    quirk = check.legacy_quirk(value)
    assert quirk is None or quirk.endswith(".")
    assert evaluate(name, text, make_response("{}")).status is not Status.ERROR or (
        name in SERVER_JUDGES | NEED_HANDSHAKE
    )
