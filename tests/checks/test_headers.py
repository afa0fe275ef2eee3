import pytest

from argos.checks import (
    HTTPHeadersContain,
    HTTPHeadersHave,
    HTTPHeadersLike,
    Verdict,
)
from argos.core.severity import Status
from argos.errors import ExpectedError
from tests.checks.outcomes import evaluate, make_response

HEADERS = (
    ("content-type", "text/html; charset=utf-8"),
    ("vary", "Accept"),
    ("server", "nginx"),
    ("vary", "Cookie"),
    ("set-cookie", "session=5ecret"),
    ("x-empty", ""),
)


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (HTTPHeadersContain, ["A", "b"], '["A", "b"]'),
        (HTTPHeadersContain, [], "[]"),
        (HTTPHeadersContain, {"a": 1}, '{"a": 1}'),
        (HTTPHeadersContain, '["a"]', '["a"]'),
        (HTTPHeadersHave, {"a": "b"}, '{"a": "b"}'),
        (HTTPHeadersHave, {"a": 42}, '{"a": 42}'),
        (HTTPHeadersHave, '{"a":"b"}', '{"a":"b"}'),
        (HTTPHeadersHave, {}, "{}"),
        (HTTPHeadersLike, {"a": "^b"}, '{"a": "^b"}'),
        (HTTPHeadersLike, {"a": 1}, '{"a": 1}'),
    ],
)
def test_values_that_can_work_are_taken(check, value, expected):
    assert check.encode_expected(value) == expected


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (HTTPHeadersContain, "content-type", "a list of header names"),
        (HTTPHeadersContain, 5, "a list of header names"),
        (HTTPHeadersContain, True, "a list of header names"),
        (HTTPHeadersContain, ["a", 5], "Put quotes around names that are numbers"),
        (HTTPHeadersHave, ["a"], "a mapping, such as"),
        (HTTPHeadersHave, "a: b", "a mapping, such as"),
        (HTTPHeadersLike, ["a"], "a mapping, such as"),
        (HTTPHeadersLike, {"a": "("}, r"as Python knows them: missing \)"),
    ],
)
def test_values_that_could_only_give_errors_are_refused(check, value, message):
    with pytest.raises(ExpectedError, match=message):
        check.encode_expected(value)


@pytest.mark.parametrize(
    ("check", "value", "quirk"),
    [
        (HTTPHeadersContain, ["a"], None),
        (HTTPHeadersHave, {"a": "b"}, None),
        (
            HTTPHeadersHave,
            {"a": "b", "content-length": 42},
            "The header content-length can never have this value, as header values are "
            "texts: put quotes around it.",
        ),
        (HTTPHeadersLike, {"a": "^b"}, None),
        (HTTPHeadersLike, '{"a": "^b"}', None),
        (
            HTTPHeadersLike,
            {"a": "b", "age": 0},
            "The regular expression of age is not a text; it is taken for “0”. Put "
            "quotes around it.",
        ),
        (
            HTTPHeadersLike,
            {"a": "b", "c": "(?!d)"},
            "The regular expression of c may need an engine that is slow on some "
            "texts, because of look-around, back-references or the like; it is given "
            "up after 1 s.",
        ),
    ],
)
def test_surprises_are_told(check, value, quirk):
    assert check.legacy_quirk(value) == quirk


@pytest.mark.parametrize(
    ("expected", "verdict"),
    [
        ("[]", Verdict(Status.SUCCESS, {"expected": "[]", "retrieved": "[]"})),
        (
            '["Content-Type", "VARY"]',
            Verdict(
                Status.SUCCESS,
                {
                    "expected": '["Content-Type", "VARY"]',
                    "retrieved": '["content-type", "vary"]',
                },
            ),
        ),
        (
            '["X-None", "server", "Age"]',
            Verdict(
                Status.FAILURE,
                {
                    "expected": '["X-None", "server", "Age"]',
                    "retrieved": '["server"]',
                    "reason": "Missing: X-None, Age.",
                },
            ),
        ),
        (
            '{"server": 1}',
            Verdict(
                Status.SUCCESS,
                {"expected": '{"server": 1}', "retrieved": '["server"]'},
            ),
        ),
    ],
)
def test_headers_contain_looks_for_names(expected, verdict):
    assert evaluate("headers-contain", expected, make_response(headers=HEADERS)) == (
        verdict
    )


@pytest.mark.parametrize(
    ("expected", "status", "retrieved", "reason"),
    [
        ("{}", Status.SUCCESS, "{}", None),
        ('{"Server": "nginx"}', Status.SUCCESS, '{"server": "nginx"}', None),
        ('{"x-empty": ""}', Status.SUCCESS, '{"x-empty": ""}', None),
        (
            '{"vary": "Accept, Cookie"}',
            Status.SUCCESS,
            '{"vary": "Accept, Cookie"}',
            None,
        ),
        (
            '{"server": "Nginx"}',
            Status.FAILURE,
            '{"server": "nginx"}',
            "With another value: server.",
        ),
        (
            '{"vary": "Accept"}',
            Status.FAILURE,
            '{"vary": "Accept, Cookie"}',
            "With another value: vary.",
        ),
        ('{"age": "1"}', Status.FAILURE, "{}", "Missing: age."),
        ('{"age": null}', Status.FAILURE, "{}", "Missing: age."),
        (
            '{"x-empty": 0, "age": "1", "server": "nginx"}',
            Status.FAILURE,
            '{"x-empty": "", "server": "nginx"}',
            "Missing: age. With another value: x-empty.",
        ),
    ],
)
def test_headers_have_compares_values(expected, status, retrieved, reason):
    verdict = evaluate("headers-have", expected, make_response(headers=HEADERS))

    facts = {"expected": expected, "retrieved": retrieved}
    assert verdict == Verdict(status, facts | ({"reason": reason} if reason else {}))


@pytest.mark.parametrize(
    ("expected", "status"),
    [
        ("{}", Status.SUCCESS),
        ('{"Content-Type": "^text/"}', Status.SUCCESS),
        ('{"content-type": "charset"}', Status.SUCCESS),
        ('{"vary": "^Accept, Cookie$"}', Status.SUCCESS),
        ('{"content-type": "^charset"}', Status.FAILURE),
        ('{"age": ".*"}', Status.FAILURE),
        ('{"server": "(?i)NGINX"}', Status.SUCCESS),
        ('{"server": "n(?=g)"}', Status.SUCCESS),
        ('{"server": "("}', Status.ERROR),
        ('["server"]', Status.ERROR),
    ],
)
def test_headers_like_searches_in_values(expected, status):
    verdict = evaluate("headers-like", expected, make_response(headers=HEADERS))

    assert verdict.status is status


@pytest.mark.parametrize("check", ["headers-have", "headers-like"])
def test_secrets_in_headers_are_hidden(check):
    verdict = evaluate(check, '{"Set-Cookie": "x"}', make_response(headers=HEADERS))

    assert verdict.status is Status.FAILURE
    assert verdict.facts["retrieved"] == '{"set-cookie": "(hidden)"}'
    assert "5ecret" not in str(verdict.facts)


def test_long_values_are_cut():
    headers = (("server", "x" * 1000),)

    facts = evaluate(
        "headers-have", '{"server": ""}', make_response(headers=headers)
    ).facts

    assert facts["retrieved"].endswith('x… (1000 characters)"}')
    assert len(facts["retrieved"]) == len('{"server": ""}') + 200


def test_values_are_readable_in_any_script():
    headers = (("x-city", "Škocjan\u202e"),)

    facts = evaluate(
        "headers-have", '{"x-city": "a"}', make_response(headers=headers)
    ).facts

    assert facts["retrieved"] == r'{"x-city": "Škocjan\u202e"}'
