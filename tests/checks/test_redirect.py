import pytest

from argos.checks import HTTPToHTTPS, Verdict
from argos.core.probe import IPVersion, Probe
from argos.core.severity import Status
from argos.errors import ExpectedError
from tests.checks.outcomes import evaluate, make_response

ANY = '{"range": [300, 400]}'
SILENT_DEFAULT = (
    "This is taken for true, any redirect; write true (any redirect), a code from 300 "
    "to 399, a list of codes, or a mapping with start and stop (the first code that is "
    "too high)."
)


@pytest.mark.parametrize(
    ("value", "expected", "quirk"),
    [
        (True, ANY, None),
        (None, ANY, None),
        (300, '{"value": 300}', None),
        (399, '{"value": 399}', None),
        ([301, 308], '{"list": [301, 308]}', None),
        ([], '{"list": []}', None),
        ({"start": 301, "stop": 309}, '{"range": [301, 309]}', None),
        ({"stop": 400, "start": 300, "x": 1}, ANY, None),
        (
            {"start": 309, "stop": 309},
            '{"range": [309, 309]}',
            "No code lies between 309 and 309.",
        ),
        (
            ["301"],
            '{"list": ["301"]}',
            '"301" is never the status code of an answer; codes are whole numbers from '
            "100 to 599, without quotes.",
        ),
        (False, ANY, SILENT_DEFAULT),
        (200, ANY, SILENT_DEFAULT),
        (400, ANY, SILENT_DEFAULT),
        (301.0, ANY, SILENT_DEFAULT),
        (1.0, ANY, SILENT_DEFAULT),
        (1, ANY, SILENT_DEFAULT),
        ("301", ANY, SILENT_DEFAULT),
        ("", ANY, SILENT_DEFAULT),
        ({"start": 301}, ANY, SILENT_DEFAULT),
        ({"value": 301}, ANY, SILENT_DEFAULT),
        ({}, ANY, SILENT_DEFAULT),
    ],
    ids=repr,
)
def test_values_are_encoded_as_0_10_3_does_and_surprises_are_told(
    value, expected, quirk
):
    assert HTTPToHTTPS.encode_expected(value) == expected
    assert HTTPToHTTPS.legacy_quirk(value) == quirk


@pytest.mark.parametrize(
    "value",
    [
        {"start": "a", "stop": 308},
        {"start": None, "stop": None},
        {"start": 1.5, "stop": 9},
    ],
    ids=repr,
)
def test_bounds_that_could_only_give_errors_are_refused(value):
    with pytest.raises(ExpectedError, match="a mapping with start and stop"):
        HTTPToHTTPS.encode_expected(value)


@pytest.mark.parametrize(
    ("expected", "code", "status"),
    [
        (ANY, 299, Status.FAILURE),
        (ANY, 300, Status.SUCCESS),
        (ANY, 399, Status.SUCCESS),
        (ANY, 400, Status.FAILURE),
        ('{"value": 301}', 301, Status.SUCCESS),
        ('{"value": 301}', 302, Status.FAILURE),
        ('{"list": [301, 308]}', 308, Status.SUCCESS),
        ('{"list": [301, 308]}', 302, Status.FAILURE),
        ('{"list": []}', 301, Status.FAILURE),
        ('{"range": [300, 400], "value": 200}', 200, Status.SUCCESS),
        ('{"range": [300, 400], "value": 200, "list": [500]}', 500, Status.SUCCESS),
        ('{"range": [300, 400], "value": 200, "list": [500]}', 200, Status.FAILURE),
        ("{}", 301, Status.ERROR),
        ("[301]", 301, Status.ERROR),
        ('{"value": "301"}', 301, Status.ERROR),
        ("", 301, Status.ERROR),
    ],
)
def test_the_code_decides(expected, code, status):
    verdict = evaluate("http-to-https", expected, make_response(status_code=code))

    assert verdict.status is status


def test_the_facts_show_the_code():
    verdict = evaluate("http-to-https", ANY, make_response(status_code=200))

    assert verdict == Verdict(
        Status.FAILURE,
        {
            "expected": ANY,
            "retrieved": 200,
            "reason": "Over plain http the status code is 200.",
        },
    )


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://shop.example/", "http://shop.example/"),
        ("https://shop.example", "http://shop.example"),
        ("https://shop.example:443/a?b#c", "http://shop.example/a?b#c"),
        ("https://shop.example:443", "http://shop.example"),
        ("https://shop.example:8443/a", "http://shop.example:8443/a"),
        ("https://shop.example:4430/a", "http://shop.example:4430/a"),
        ("https://shop.example?x=:443", "http://shop.example?x=:443"),
        ("https://shop.example/a:443", "http://shop.example/a:443"),
        ("https://[2001:db8::443]/", "http://[2001:db8::443]/"),
        ("https://[2001:db8::1]:443/", "http://[2001:db8::1]/"),
        ("https://me:443@shop.example/", "http://me:443@shop.example/"),
        ("HTTPS://Shop.Example/", "http://Shop.Example/"),
        ("http://shop.example:443/", "http://shop.example:443/"),
        ("https:/shop.example", "https:/shop.example"),
        ("https://[broken", "http://[broken"),
        ("", ""),
    ],
)
def test_the_request_goes_to_plain_http(url, asked):
    probe = Probe(url, "HEAD", IPVersion.V6, {"x": "y"}, b"z")

    assert HTTPToHTTPS.prepare_probe(probe) == Probe(
        asked, "HEAD", IPVersion.V6, {"x": "y"}, b"z"
    )
