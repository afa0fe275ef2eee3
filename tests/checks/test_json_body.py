import json

import pytest

from argos.checks import (
    HTTPJsonContains,
    HTTPJsonHas,
    HTTPJsonIs,
    HTTPJsonLike,
    Verdict,
)
from argos.core.severity import Status
from argos.errors import ExpectedError
from tests.checks.outcomes import evaluate, make_response

BODY = """{"a": 1, "b": [1, 2.0, "x"], "c": null, "s": "hello", "": {"d": true},
"m~n": 3, "o/p": 4, "u": "é"}"""
ALL = ["json-contains", "json-has", "json-like", "json-is"]
EMPTY = {"json-contains": "[]", "json-has": "{}", "json-like": "{}", "json-is": "{}"}


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (HTTPJsonContains, ["/a"], '["/a"]'),
        (HTTPJsonContains, {"/a": 1}, '{"/a": 1}'),
        (HTTPJsonContains, [], "[]"),
        (HTTPJsonHas, {"/a": None}, '{"/a": null}'),
        (HTTPJsonHas, '{"/a":1}', '{"/a":1}'),
        (HTTPJsonLike, {"/a": "^x"}, '{"/a": "^x"}'),
        (HTTPJsonLike, {"/a": 1}, '{"/a": 1}'),
        (HTTPJsonIs, '{"a":1}', '{"a":1}'),
        (HTTPJsonIs, {"a": 1, "b": 1.0}, '{"a": 1, "b": 1.0}'),
        (HTTPJsonIs, [1], "[1]"),
        (HTTPJsonIs, 5, "5"),
        (HTTPJsonIs, "true", "true"),
    ],
)
def test_values_that_can_work_are_taken(check, value, expected):
    assert check.encode_expected(value) == expected


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (HTTPJsonContains, "/a", "a list of JSON pointers"),
        (HTTPJsonContains, 5, "a list of JSON pointers"),
        (HTTPJsonContains, [5], "a list of JSON pointers"),
        (HTTPJsonHas, ["/a"], "a mapping of JSON pointers"),
        (HTTPJsonHas, True, "a mapping of JSON pointers"),
        (HTTPJsonLike, ["/a"], "a mapping of JSON pointers"),
        (HTTPJsonLike, {"/a": "("}, r"as Python knows them: missing \)"),
        (HTTPJsonIs, True, "true, false, null and texts need quotes"),
        (HTTPJsonIs, "{'a': 1}", "This should be JSON"),
        (HTTPJsonIs, "[" * 100_000, "This should be JSON"),
        (HTTPJsonIs, "up", "This should be JSON"),
    ],
)
def test_values_that_could_only_give_errors_are_refused(check, value, message):
    with pytest.raises(ExpectedError, match=message):
        check.encode_expected(value)


@pytest.mark.parametrize(
    ("check", "value", "quirk"),
    [
        (HTTPJsonContains, ["/a", ""], None),
        (HTTPJsonContains, ["a"], '"a" never leads anywhere: pointers begin with /.'),
        (HTTPJsonHas, {"a": 1}, '"a" never leads anywhere: pointers begin with /.'),
        (HTTPJsonLike, {"a": "1"}, '"a" never leads anywhere: pointers begin with /.'),
        (HTTPJsonLike, {"/a": "1"}, None),
        (
            HTTPJsonLike,
            {"/a": True},
            "The regular expression of /a is not a text; it is taken for “True”. Put "
            "quotes around it.",
        ),
        (HTTPJsonIs, "{}", None),
    ],
)
def test_surprises_are_told(check, value, quirk):
    assert check.legacy_quirk(value) == quirk


@pytest.mark.parametrize(
    ("pointers", "missing"),
    [
        ([], []),
        ([""], []),
        (["/a", "/b/0", "/b/2", "/c", "//d", "/m~0n", "/o~1p"], []),
        (["/a", "/z", "/b/3"], ["/z", "/b/3"]),
        (["/b/-", "/b/00", "/b/x", "/b/-1"], ["/b/-", "/b/00", "/b/x", "/b/-1"]),
        (["/a/x", "/s/0", "/c/x"], ["/a/x", "/s/0", "/c/x"]),
        (["a", "/m~n", "/m~2n"], ["a", "/m~n", "/m~2n"]),
    ],
)
def test_json_contains_follows_pointers(pointers, missing):
    verdict = evaluate("json-contains", json.dumps(pointers), make_response(BODY))

    assert verdict.status is (Status.FAILURE if missing else Status.SUCCESS)
    reason = f"Missing: {', '.join(map(json.dumps, missing))}." if missing else None
    assert verdict.facts.get("reason") == reason


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({}, Status.SUCCESS),
        ({"/a": 1, "/s": "hello", "/c": None}, Status.SUCCESS),
        ({"/a": 1.0, "/b": [1.0, 2, "x"]}, Status.SUCCESS),
        ({"": json.loads(BODY)}, Status.SUCCESS),
        ({"/u": "é"}, Status.SUCCESS),
        ({"/a": True}, Status.FAILURE),
        ({"//d": 1}, Status.FAILURE),
        ({"/b": [1, 2]}, Status.FAILURE),
        ({"/a": "1"}, Status.FAILURE),
        ({"/z": None}, Status.FAILURE),
        ({"/c": False}, Status.FAILURE),
    ],
    ids=repr,
)
def test_json_has_compares_by_value_but_keeps_booleans_apart(wanted, status):
    verdict = evaluate("json-has", json.dumps(wanted), make_response(BODY))

    assert verdict.status is status


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({}, Status.SUCCESS),
        ({"/s": "^hell", "/b/2": "x"}, Status.SUCCESS),
        ({"/s": "^ell"}, Status.FAILURE),
        ({"/z": ".*"}, Status.FAILURE),
        ({"/a": "1"}, Status.FAILURE),
        ({"/c": ""}, Status.FAILURE),
        ({"/b": "x"}, Status.FAILURE),
        ({"/s": "("}, Status.ERROR),
    ],
    ids=repr,
)
def test_json_like_searches_in_texts_only(wanted, status):
    verdict = evaluate("json-like", json.dumps(wanted), make_response(BODY))

    assert verdict.status is status


def test_the_facts_hold_what_was_asked_for_and_no_more():
    wanted = {"/a": 1, "/s": "bye", "/z": 0}

    verdict = evaluate("json-has", json.dumps(wanted), make_response(BODY))

    assert verdict == Verdict(
        Status.FAILURE,
        {
            "expected": '{"/a": 1, "/s": "bye", "/z": 0}',
            "retrieved": '{"/a": 1, "/s": "hello"}',
            "reason": 'Missing: "/z". With another value: "/s".',
        },
    )


def test_long_findings_are_cut():
    body = json.dumps({"a": "x" * 5000, "b": [1] * 5000})

    facts = evaluate("json-contains", '["/a", "/b"]', make_response(body)).facts

    found = json.loads(facts["retrieved"])
    assert found == {
        "/a": '"' + "x" * 199 + "…",
        "/b": ("[" + "1, " * 100)[:200] + "…",
    }


@pytest.mark.parametrize(
    ("expected", "body", "place"),
    [
        ("1", "1.0", None),
        ('{"a": 1, "b": [true]}', '{"b":[true],"a":1}', None),
        ('"é"', '"\\u00e9"', None),
        ("null", "null", None),
        ("1", "true", "as a whole"),
        ('{"a": 1}', "[1]", "as a whole"),
        ('{"a": {"b": [1, 2]}}', '{"a": {"b": [1, 3]}}', "at /a/b/1"),
        ('{"a": [1]}', '{"a": [1, 2]}', "at /a/1"),
        ('{"a": [1, 2]}', '{"a": [1]}', "at /a/1"),
        ('{"a": 1}', '{"a": 1, "x/y~": 2}', "at /x~1y~0"),
        ('{"a": 1, "b": 2}', '{"a": 1}', "at /b"),
    ],
)
def test_json_is_compares_everything_and_says_where_it_differs(expected, body, place):
    verdict = evaluate("json-is", expected, make_response(body))

    assert verdict.status is (Status.FAILURE if place else Status.SUCCESS)
    reason = place and f"The answer is not the expected JSON, {place}."
    assert verdict.facts.get("reason") == reason


@pytest.mark.parametrize(
    ("expected", "body", "retrieved"),
    [
        ("[1]", "[1]", "[1]"),
        ('{"a": [1, 2]}', '{"a": [1, "é"]}', '{"/a/1": "é"}'),
        ('{"a": 1}', "{}", "{}"),
        ("1", '{"a": 2}', '{"": {"a": 2}}'),
    ],
)
def test_json_is_shows_the_first_difference(expected, body, retrieved):
    facts = evaluate("json-is", expected, make_response(body)).facts

    assert facts["expected"] == expected
    assert facts["retrieved"] == retrieved


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "The answer is empty, not JSON."),
        (
            b"<html>",
            "The answer is not JSON: Expecting value: line 1 column 1 (char 0).",
        ),
        (b"[" * 100_000, "The answer's JSON is nested deeper than 200 levels."),
        (b"NaN", "The answer is not JSON: it holds NaN."),
        (b'"\xe9"', "The answer is not JSON: it is not in UTF-8."),
    ],
)
@pytest.mark.parametrize("check", ALL)
def test_an_answer_that_is_not_json_is_a_failure(check, body, reason):
    verdict = evaluate(check, EMPTY[check], make_response(body))

    assert verdict == Verdict(
        Status.FAILURE, {"expected": EMPTY[check], "reason": reason}
    )


@pytest.mark.parametrize("check", ALL)
def test_a_cut_body_is_a_failure_even_when_what_is_there_would_do(check):
    verdict = evaluate(check, EMPTY[check], make_response("{}", body_is_cut=True))

    assert verdict.status is Status.FAILURE
    assert verdict.facts["reason"] == (
        "The answer is longer than what is read of it, so its JSON is incomplete."
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_is_read_in_each_encoding_that_it_may_have(encoding):
    verdict = evaluate("json-is", '"é"', make_response('"é"'.encode(encoding)))

    assert verdict.status is Status.SUCCESS
