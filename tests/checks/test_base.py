import json
from datetime import timedelta
from typing import Any

import pytest

from argos import checks
from argos.checks import (
    BaseCheck,
    CheckNotFound,
    FinalizeRules,
    Verdict,
    get_registered_check,
    get_registered_checks,
)
from argos.checks.base import MAX_FACTS_BYTES, _registry
from argos.core.probe import (
    FailureKind,
    Probe,
    ProbeResponse,
)
from argos.core.severity import Severity, Status
from argos.errors import ExpectedError
from tests.checks.outcomes import (
    NOW,
    evaluate,
    make_certificate,
    make_failure,
    make_response,
    make_timings,
)

OWN = ["response-time", "http-version", "ssl-certificate-valid", "ssl-min-version"]
LEGACY_ORDER = [
    "status-is",
    "status-in",
    "http-to-https",
    "headers-contain",
    "headers-have",
    "headers-like",
    "body-contains",
    "body-like",
    "json-contains",
    "json-has",
    "json-like",
    "json-is",
    "ssl-certificate-expiration",
]
RULES = FinalizeRules()
SERVER_JUDGES = {"ssl-certificate-expiration", "response-time"}


def test_the_checks_of_0_10_3_come_first_and_in_its_order():
    assert [*get_registered_checks()] == [*LEGACY_ORDER, *OWN]
    assert [
        name for name, check in get_registered_checks().items() if check.is_legacy
    ] == LEGACY_ORDER


def test_the_registry_cannot_be_written_from_outside():
    with pytest.raises(TypeError):
        get_registered_checks()["mine"] = BaseCheck  # type: ignore[index]  # the point


def test_each_check_is_a_public_name_and_tells_the_user_what_it_does():
    for check in get_registered_checks().values():
        assert getattr(checks, check.__name__) is check
        assert check.__doc__
        assert check.__doc__.endswith((".", ".\n    "))


def test_a_check_is_found_by_its_name():
    assert get_registered_check("status-is") is checks.HTTPStatus


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("status_is", "There is no check named status_is; did you mean status-is?"),
        ("zzzzzz", "There is no check named zzzzzz."),
        ("", "There is no check named ."),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(name, message):
    with pytest.raises(CheckNotFound) as caught:
        get_registered_check(name)

    assert str(caught.value) == message


def test_a_check_without_a_name_is_refused():
    with pytest.raises(TypeError, match="Nameless has no name"):
        type("Nameless", (BaseCheck,), {})


def test_a_second_check_of_the_same_name_is_refused():
    with pytest.raises(TypeError, match="two checks named status-is"):
        type("Other", (BaseCheck,), {"name": "status-is"})

    assert get_registered_check("status-is") is checks.HTTPStatus


def test_a_new_check_is_registered_by_its_definition():
    try:

        class Teapot(BaseCheck):
            """The answer comes from a teapot."""

            name = "teapot"

            @classmethod
            def parse_expected(cls, expected: str) -> str:
                return expected

            @classmethod
            def judge(cls, response: ProbeResponse, wanted: str) -> Verdict:
                return Verdict(Status.SUCCESS, {"wanted": wanted})

        assert get_registered_check("teapot") is Teapot
        assert Teapot.legacy_quirk("x") is None
        assert Teapot.encode_expected({"a": ["é", 1.5, None]}) == (
            '{"a": ["\\u00e9", 1.5, null]}'
        )
        assert evaluate("teapot", "x", make_response()) == Verdict(
            Status.SUCCESS, {"wanted": "x"}
        )
    finally:
        _registry.pop("teapot", None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("text", "text"),
        ("", ""),
        (0, "0"),
        (-5, "-5"),
        (True, "True"),
        (False, "False"),
        ([], "[]"),
        ({}, "{}"),
        ([1, "a", None, True, 1.0], '[1, "a", null, true, 1.0]'),
        ({"b": 1, "a": 2}, '{"b": 1, "a": 2}'),
        ({3: 4, 1.5: "x", None: 0}, '{"3": 4, "1.5": "x", "null": 0}'),
        (["é☃"], '["\\u00e9\\u2603"]'),
    ],
    ids=repr,
)
def test_config_values_are_encoded_as_0_10_3_does(value, text):
    assert get_registered_check("body-contains").encode_expected(value) == text


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "nothing"), (1.5, "a float"), (NOW, "a datetime"), (b"x", "a bytes")],
    ids=repr,
)
@pytest.mark.parametrize("name", ["status-is", "body-contains", "json-is"])
def test_values_that_0_10_3_refuses_are_refused(name, value, kind):
    with pytest.raises(ExpectedError, match=f"; it is {kind}. Put quotes"):
        get_registered_check(name).encode_expected(value)


@pytest.mark.parametrize(
    "value",
    [[NOW], {"a": NOW}, {NOW: 1}, [{1, 2}], 10**5000],
    ids=["date", "date in mapping", "date as key", "set", "huge number"],
)
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(ExpectedError, match="may hold only"):
        get_registered_check("body-contains").encode_expected(value)


def test_a_list_that_holds_itself_is_refused():
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(ExpectedError, match="may hold only"):
        get_registered_check("body-contains").encode_expected(endless)


@pytest.mark.parametrize("name", [*LEGACY_ORDER, "response-time"])
def test_an_unreachable_target_is_a_failure_of_every_check(name):
    expected = {"status-is": "200", "body-contains": "x", "body-like": "x"}.get(
        name,
        {
            "http-to-https": '{"value": 301}',
            "headers-have": "{}",
            "headers-like": "{}",
            "json-has": "{}",
            "json-like": "{}",
            "response-time": '{"phase": "total", "critical": 1}',
        }.get(name, "[]"),
    )
    failure = make_failure(
        FailureKind.TIMEOUT,
        "No answer within 30 s.",
        timings=make_timings(total_us=30_000_400),
        remote_address="192.0.2.7",
    )

    verdict = evaluate(name, expected, failure)

    assert verdict == Verdict(
        Status.FAILURE,
        {
            "error_message": "No answer within 30 s.",
            "error_type": "timeout",
            "error_details": "address 192.0.2.7, after 30000 ms",
        },
    )
    final = get_registered_check(name).finalize(
        verdict.status, verdict.facts, RULES, expected=expected
    )
    assert final == (Status.FAILURE, Severity.CRITICAL)


@pytest.mark.parametrize("kind", FailureKind)
def test_only_our_own_trouble_is_an_error(kind):
    verdict = evaluate("status-is", "200", make_failure(kind, "Why."))

    is_ours = kind is FailureKind.INTERNAL
    assert verdict.status is (Status.ERROR if is_ours else Status.FAILURE)
    assert verdict.facts == {
        "error_message": "Why.",
        "error_type": kind.value,
        "error_details": "",
    }


def test_an_expected_text_of_no_use_is_an_error_that_says_what_would_be_right():
    verdict = evaluate("status-is", "[200]", make_response())

    assert verdict.status is Status.ERROR
    assert verdict.facts == {
        "error_message": "This should be one status code, such as 200; for several of "
        "them there is status-in.",
        "error_type": "ExpectedError",
        "error_details": "",
    }


def test_whatever_breaks_inside_a_check_is_an_error_and_not_an_exception():
    broken = make_response(certificate=make_certificate(not_after=None))

    verdict = evaluate("ssl-certificate-expiration", "on-check", broken)

    assert verdict.status is Status.ERROR
    assert verdict.facts["error_type"] == "TypeError"


def test_facts_show_what_would_be_invisible():
    failure = make_failure(message="a\x1b[31m\u202e\ud800\nb\x00")

    facts = evaluate("status-is", "200", failure).facts

    assert facts["error_message"] == r"a\u001b[31m\u202e\ud800\u000ab\u0000"


@pytest.mark.parametrize("letter", ["x", "é", "🔥", "\x00", "\ud800"])
def test_facts_stay_small(letter):
    headers = tuple((f"h{index}", letter * 3000) for index in range(40))
    wanted = json.dumps({f"H{index}": letter * 3000 for index in range(40)})

    verdict = evaluate("headers-have", wanted, make_response(headers=headers))

    assert verdict.status is Status.SUCCESS
    assert len(json.dumps(verdict.facts).encode()) <= MAX_FACTS_BYTES
    assert verdict.facts["expected"].endswith("characters)")


def test_a_probe_is_left_as_it_is():
    probe = Probe("https://shop.example/")

    for name, check in get_registered_checks().items():
        if name != "http-to-https":
            assert check.prepare_probe(probe) is probe


@pytest.mark.parametrize("name", [*LEGACY_ORDER, *OWN])
def test_an_error_is_unknown(name):
    check = get_registered_check(name)

    assert check.finalize(Status.ERROR, {"expires_in": 9}, RULES, expected="x") == (
        Status.ERROR,
        Severity.UNKNOWN,
    )


@pytest.mark.parametrize("name", [n for n in LEGACY_ORDER if n not in SERVER_JUDGES])
@pytest.mark.parametrize(
    ("status", "final"),
    [
        (Status.SUCCESS, (Status.SUCCESS, Severity.OK)),
        (Status.FAILURE, (Status.FAILURE, Severity.CRITICAL)),
        (Status.ON_CHECK, (Status.ERROR, Severity.UNKNOWN)),
    ],
)
def test_the_server_takes_over_what_an_agent_judged(name, status, final):
    """An `on-check` that the server cannot judge costs 0.10.3 the whole report."""
    facts = {"expires_in": 3}

    finalized = get_registered_check(name).finalize(status, facts, RULES, expected="x")

    assert finalized == final


def test_a_verdict_does_not_depend_on_when_the_check_is_asked_but_the_certificate_does():
    response = make_response(certificate=make_certificate(days=2))

    def ask(name: str, expected: str, later: timedelta) -> Verdict:
        return get_registered_check(name).evaluate(response, expected, now=NOW + later)

    assert ask("status-is", "200", timedelta(0)) == ask(
        "status-is", "200", timedelta(days=9)
    )
    assert ask("ssl-certificate-expiration", "", timedelta(0)).facts["expires_in"] == 2
    assert ask("ssl-certificate-expiration", "", timedelta(3)).facts["expires_in"] == -1
