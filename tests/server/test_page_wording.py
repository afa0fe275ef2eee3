from datetime import UTC, datetime, timedelta

import pytest

from argos.core.severity import Severity
from argos.server.routes import wording

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (timedelta(seconds=-3), "0 s"),
        (timedelta(seconds=59.9), "59 s"),
        (timedelta(minutes=14, seconds=59), "14 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=2, minutes=5), "2 h 5 min"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=2, hours=3), "2 days 3 h"),
        (timedelta(days=3, hours=5), "3 days"),
        (timedelta(days=400), "400 days"),
    ],
)
def test_durations_have_one_unit_or_two(interval: timedelta, text: str):
    assert wording.duration(interval) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (-4, "just now"), (90, "1 min ago"), (-90, "in 1 min")],
)
def test_a_moment_is_told_from_now(seconds: int, text: str):
    assert wording.relative(NOON - timedelta(seconds=seconds), NOON) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 checks"), (1, "1 check"), (12_345, "12,345 checks")]
)
def test_numbers_have_their_noun(number: int, text: str):
    assert wording.count(number, "check") == text


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(400, "0.4 ms"), (9_949, "9.9 ms"), (183_400, "183 ms"), (1_240_000, "1.24 s")],
)
def test_times_of_probes_have_a_fitting_unit(microseconds: int, text: str):
    assert wording.milliseconds(microseconds) == text


@pytest.mark.parametrize(
    ("context", "severity", "text"),
    [
        ({"error_message": "Connection refused"}, Severity.CRITICAL, "Connection refused."),
        ({"error_message": "a\n\tb  c!"}, Severity.CRITICAL, "a b c!"),
        ({"error_message": " ", "reason": "No text."}, Severity.CRITICAL, "No text."),
        ({"error_message": ["x"]}, Severity.UNKNOWN, "a-check is not as expected."),
        ({"expires_in": 4}, Severity.WARNING, "The certificate expires in 4 days."),
        ({"expires_in": 1}, Severity.CRITICAL, "The certificate expires in 1 day."),
        ({"expires_in": 0}, Severity.CRITICAL, "The certificate expires today."),
        ({"expires_in": -1}, Severity.CRITICAL, "The certificate expired 1 day ago."),
        ({"expected": 200, "retrieved": 503}, Severity.CRITICAL, "Found 503, expected 200."),
        ({"expected": 200, "retrieved": 200}, Severity.OK, "Found 200, as expected."),
        ({"retrieved": None}, Severity.CRITICAL, "Found null, expected null."),
        ({}, Severity.OK, "As expected."),
        ({}, Severity.CRITICAL, "a-check is not as expected."),
    ],
)  # fmt: skip
def test_a_result_is_one_sentence(context, severity: Severity, text: str):
    assert wording.summary(context, "a-check", severity) == text


def test_a_long_finding_is_cut():
    text = wording.summary({"reason": "x" * 1000}, "a-check", Severity.CRITICAL)

    assert len(text) <= 241


def test_facts_have_readable_names_in_a_fixed_order_and_no_empty_ones():
    facts = wording.facts({
        "own": {"a": [1]},
        "retrieved": 503,
        "expected": 0,
        "error_details": "",
        "nothing": None,
        "": "odd",
    })

    assert [(fact.name, fact.text) for fact in facts] == [
        ("Expected", "0"),
        ("Found", "503"),
        ("own", '{"a": [1]}'),
        ("", "odd"),
    ]


@pytest.mark.parametrize(
    ("url", "shown", "href"),
    [
        ("https://a.example/x?y", "https://a.example/x?y", "https://a.example/x?y"),
        ("https://u:p@a.example/", "https://a.example/", "https://a.example/"),
        ("u:p@a.example", "a.example", None),
        ("javascript:alert(1)", "javascript:alert(1)", None),
        ("JaVaScRiPt:alert(1)", "JaVaScRiPt:alert(1)", None),
        ("data:text/html,x", "data:text/html,x", None),
        ("//a.example/", "//a.example/", None),
        ("http://[::1", "http://[::1", None),
        ("", "", None),
    ],
)
def test_urls_show_no_password_and_lead_to_websites_only(
    url: str, shown: str, href: str | None
):
    assert wording.without_secrets(url) == shown
    assert wording.safe_href(url) == href


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        ("plain", "plain"),
        ("a\nb", "a\nb"),
        ("\x1b[31m", "\\u001b[31m"),
        ("\u202eexe", "\\u202eexe"),
        ("\ud800", "\\ud800"),
        (12, 12),
        (None, None),
    ],
)
def test_what_cannot_be_seen_is_made_visible(value: object, printed: object):
    assert wording.plain(value) == printed


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_names_are_listed_as_in_a_sentence(names: list[str], text: str):
    assert wording.join(names) == text
