import pytest

from argos.checks import HTTPStatus, HTTPStatusIn, Verdict
from argos.core.severity import Status
from argos.errors import ExpectedError
from tests.checks.outcomes import evaluate, make_response


@pytest.mark.parametrize(
    ("value", "expected"),
    [(200, "200"), ("200", "200"), (" 200 ", " 200 "), ("+200", "+200"), (0, "0")],
    ids=repr,
)
def test_status_is_takes_one_code(value, expected):
    assert HTTPStatus.encode_expected(value) == expected


@pytest.mark.parametrize(
    "value",
    [True, [200], {"a": 1}, "abc", "", "200.0", "200 OK", None, 200.0],
    ids=repr,
)
def test_status_is_refuses_what_could_only_give_errors(value):
    with pytest.raises(ExpectedError):
        HTTPStatus.encode_expected(value)


@pytest.mark.parametrize(
    ("value", "quirk"),
    [
        (200, None),
        ("404", None),
        (599, None),
        (
            20,
            "20 is never the status code of an answer; codes are whole numbers from "
            "100 to 599, without quotes.",
        ),
        (
            2000,
            "2000 is never the status code of an answer; codes are whole numbers from "
            "100 to 599, without quotes.",
        ),
    ],
)
def test_status_is_warns_of_codes_that_never_come(value, quirk):
    assert HTTPStatus.legacy_quirk(value) == quirk


@pytest.mark.parametrize(
    ("expected", "code", "verdict"),
    [
        ("200", 200, Verdict(Status.SUCCESS, {"expected": 200, "retrieved": 200})),
        (" 200 ", 200, Verdict(Status.SUCCESS, {"expected": 200, "retrieved": 200})),
        (
            "200",
            503,
            Verdict(
                Status.FAILURE,
                {
                    "expected": 200,
                    "retrieved": 503,
                    "reason": "The status code is 503 instead of 200.",
                },
            ),
        ),
    ],
)
def test_status_is_compares_the_code(expected, code, verdict):
    assert evaluate("status-is", expected, make_response(status_code=code)) == verdict


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([401, 301], "[401, 301]"),
        ([], "[]"),
        ("[200,301]", "[200,301]"),
        ({200: "x"}, '{"200": "x"}'),
        (["200"], '["200"]'),
    ],
    ids=repr,
)
def test_status_in_takes_a_list(value, expected):
    assert HTTPStatusIn.encode_expected(value) == expected


@pytest.mark.parametrize("value", [200, "200", "200 301", True, "null", '"200"'])
def test_status_in_refuses_what_could_only_give_errors(value):
    with pytest.raises(ExpectedError, match=r"a list of status codes, such as \[200"):
        HTTPStatusIn.encode_expected(value)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ([200, 301], None),
        ([200.0], None),
        ([200, "301"], '"301"'),
        ({200: "x"}, '"200"'),
        ([True], "true"),
        ([None], "null"),
        ([99], "99"),
        ([float("nan")], "NaN"),
        (["x" * 99], '"xxxxxxxxxxxxxxxxxxxxx… (101 characters)'),
    ],
    ids=repr,
)
def test_status_in_warns_of_members_that_never_come(value, wrong):
    quirk = HTTPStatusIn.legacy_quirk(value)

    assert quirk == (
        wrong
        and f"{wrong} is never the status code of an answer; codes are whole numbers "
        "from 100 to 599, without quotes."
    )


@pytest.mark.parametrize(
    ("expected", "code", "status"),
    [
        ("[200, 301]", 301, Status.SUCCESS),
        ("[200.0]", 200, Status.SUCCESS),
        ("[200, 301]", 302, Status.FAILURE),
        ('["200"]', 200, Status.FAILURE),
        ('{"200": 1}', 200, Status.FAILURE),
        ("[true]", 1, Status.SUCCESS),
        ("[]", 200, Status.FAILURE),
        ("200", 200, Status.ERROR),
        ('"200"', 200, Status.ERROR),
        ("nonsense", 200, Status.ERROR),
    ],
)
def test_status_in_looks_the_code_up(expected, code, status):
    verdict = evaluate("status-in", expected, make_response(status_code=code))

    assert verdict.status is status


def test_status_in_shows_what_was_expected_and_what_came():
    verdict = evaluate("status-in", "[200]", make_response(status_code=404))

    assert verdict.facts == {
        "expected": "[200]",
        "retrieved": 404,
        "reason": "The status code is 404.",
    }


@pytest.mark.parametrize("check", [HTTPStatus, HTTPStatusIn])
def test_verdict_of_a_status_is_the_same_whatever_else_the_answer_has(check):
    expected = check.encode_expected(200 if check is HTTPStatus else [200, 204])

    for code, status in [(200, Status.SUCCESS), (404, Status.FAILURE)] * 2:
        plain = evaluate(check.name, expected, make_response(status_code=code))
        other = make_response(b"other", status_code=code, headers=(("a", "b"),))

        assert plain.status is status
        assert plain.facts["retrieved"] == code
        assert evaluate(check.name, expected, other) == plain
