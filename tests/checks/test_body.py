import pytest

from argos.checks import HTTPBodyContains, HTTPBodyLike, Verdict
from argos.core.severity import Status
from argos.errors import ExpectedError
from argos.patterns import TIME_LIMIT_S
from tests.checks.outcomes import evaluate, make_response

LATIN = (("content-type", "text/html; charset=iso-8859-1"),)
SLOW = (
    "This regular expression may need an engine that is slow on some texts, because of "
    f"look-around, back-references or the like; it is given up after {TIME_LIMIT_S:g} s."
)


@pytest.mark.parametrize(
    ("value", "expected", "quirk"),
    [
        ("text", "text", None),
        (5, "5", None),
        (True, "True", "This is taken for the text “True”; put quotes around a text."),
        (
            ["a"],
            '["a"]',
            'This is taken for the text “["a"]”; put quotes around a text.',
        ),
    ],
    ids=repr,
)
@pytest.mark.parametrize("check", [HTTPBodyContains, HTTPBodyLike])
def test_what_is_not_a_text_becomes_one(check, value, expected, quirk):
    assert check.encode_expected(value) == expected
    assert check.legacy_quirk(value) == quirk


def test_looking_for_nothing_is_told():
    assert HTTPBodyContains.encode_expected("") == ""
    assert HTTPBodyContains.legacy_quirk("") == "Every body contains the empty text."


@pytest.mark.parametrize("value", ["(?=a)", "(?<!a)b", r"(a)\1"])
def test_regular_expressions_that_need_the_slow_engine_are_taken_and_told(value):
    assert HTTPBodyLike.encode_expected(value) == value
    assert HTTPBodyLike.legacy_quirk(value) == SLOW


@pytest.mark.parametrize("value", ["(", "a**", "[z-a]", "*", r"\1"])
def test_regular_expressions_that_are_none_are_refused(value):
    with pytest.raises(
        ExpectedError, match="This is not a regular expression as Python knows them: "
    ):
        HTTPBodyLike.encode_expected(value)


@pytest.mark.parametrize(
    ("expected", "body", "status"),
    [
        ("", "", Status.SUCCESS),
        ("ello", "hello", Status.SUCCESS),
        ("Ello", "hello", Status.FAILURE),
        ("a.c", "abc", Status.FAILURE),
        ("é", "é", Status.SUCCESS),
        ("x", "", Status.FAILURE),
    ],
)
def test_body_contains_looks_for_a_text(expected, body, status):
    assert evaluate("body-contains", expected, make_response(body)).status is status


@pytest.mark.parametrize(
    ("expected", "body", "status"),
    [
        ("", "", Status.SUCCESS),
        ("^a.c$", "abc", Status.SUCCESS),
        ("^a.c$", "a\nc", Status.FAILURE),
        ("</html>$", "</html>\n", Status.SUCCESS),
        (r"\bété\b", "un été!", Status.SUCCESS),
        (r"(?s)a.*z", "a\n\nz", Status.SUCCESS),
        ("(?!x)a", "a", Status.SUCCESS),
        ("(", "a", Status.ERROR),
    ],
)
def test_body_like_searches(expected, body, status):
    assert evaluate("body-like", expected, make_response(body)).status is status


@pytest.mark.parametrize("check", ["body-contains", "body-like"])
@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (LATIN, "été".encode("latin-1"), Status.SUCCESS),
        (LATIN, "\ufeffété".encode(), Status.SUCCESS),
        ((), "été".encode(), Status.SUCCESS),
        ((), "été".encode("utf-16"), Status.SUCCESS),
        ((), "été".encode("latin-1"), Status.FAILURE),
        (
            (("content-type", "text/html; charset=rot13"),),
            "été".encode(),
            Status.SUCCESS,
        ),
    ],
)
def test_bodies_are_decoded(check, headers, body, status):
    assert evaluate(check, "été", make_response(body, headers=headers)).status is status


@pytest.mark.parametrize("check", ["body-contains", "body-like"])
def test_the_facts_say_how_much_was_searched_but_not_what(check):
    found = evaluate(check, "hell", make_response("hello"))
    missed = evaluate(check, "heaven", make_response("hello"))
    cut = evaluate(check, "heaven", make_response("hello", body_is_cut=True))
    found_in_cut = evaluate(check, "hell", make_response("hello", body_is_cut=True))

    assert found == found_in_cut == Verdict(Status.SUCCESS, {})
    assert missed == Verdict(Status.FAILURE, {"reason": "Not in the body of 5 bytes."})
    assert cut == Verdict(
        Status.FAILURE,
        {
            "reason": "Not in the first 5 bytes; the body is longer than what is read "
            "of it."
        },
    )


def test_a_regular_expression_that_takes_too_long_is_our_error():
    hostile = make_response("a" * 60 + "!")

    verdict = evaluate("body-like", "(?=a)(?:a|aa)+$", hostile)

    assert verdict == Verdict(
        Status.ERROR,
        {
            "error_message": "The regular expression was given up: it took more than a "
            "second on this text.",
            "error_type": "PatternTimeout",
            "error_details": "",
        },
    )


def test_what_stalls_0_10_3_for_hours_takes_no_time():
    assert evaluate("body-like", "^(a+)+$", make_response("a" * 100_000 + "!")) == (
        Verdict(Status.FAILURE, {"reason": "Not in the body of 100001 bytes."})
    )
