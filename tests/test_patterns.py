import re
import subprocess
import sys
import threading
import warnings

import pytest
from hypothesis import HealthCheck, assume, example, given, settings, strategies as st

from argos.errors import ExpectedError, PatternTimeout
from argos.patterns import MAX_PATTERN_LENGTH, MAX_TEXT_LENGTH, Pattern, compile_pattern

# A busy machine is no reason to fail.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


EXPONENTIAL = "(?=a)(?:a|aa)+$"
HOSTILE = "a" * 60 + "!"


@pytest.mark.parametrize(
    ("pattern", "text", "is_found"),
    [
        ("", "", True),
        ("ell", "hello", True),
        ("^ell", "hello", False),
        ("o$", "hello\n", True),
        ("o$", "hello\n\n", False),
        (r"o\Z", "hello\n", False),
        (r"o$\n", "hello\n", True),
        ("(?m)o$", "hello\nx", True),
        ("o$", "hello\nx", False),
        ("a.b", "a\nb", False),
        ("(?s)a.b", "a\nb", True),
        (r"\bété\b", "un été!", True),
        (r"\bt", "été", False),
        (r"^\w+$", "été", True),
        (r"^\w+$", "e\u0301", False),
        (r"\d", "٣", True),
        (r"a\sb", "a\xa0b", True),
        (r"a\sb", "a\x1cb", True),
        (r"a\sb", "a\vb", True),
        (r"a\Sb", "a\u2028b", False),
        (r"^[\S]+$", "a\u2003", False),
        (r"^[^\W\d]+$", "été", True),
        (r"^[^\W\d]+$", "été2", False),
        ("[[:alpha:]]", "l]", True),
        ("[[:alpha:]]", "z]", False),
        ("^a{,3}b", "aaab", True),
        ("^a{,3}b", "aaaab", False),
        ("(?i)ÉTÉ", "été", True),
        (r"(\w)\1", "hello", True),
        ("l(?=o)", "hello", True),
        ("a++b", "aab", True),
        ("(?x) h e l", "hel", True),
        (r"(?a)\w", "é", False),
        ("a{1001}", "a" * 1001, True),
        ("x" * 5000, "x" * 5000, True),
        ("\ud800", "\ud800", True),
        ("^.$", "\ud800", True),
        ("🔥{2}", "🔥🔥", True),
    ],
)
def test_patterns_mean_what_they_mean_to_python(pattern, text, is_found):
    assert Pattern(pattern).search(text) is is_found


# Enough of the syntax to disagree about; each piece is a pattern of its own.
pieces = st.sampled_from([
    "a",
    "é",
    ".",
    " ",
    "\n",
    "_",
    r"\w",
    r"\W",
    r"\d",
    r"\s",
    r"\S",
    r"\b",
    r"\B",
    "^",
    "$",
    r"\A",
    r"\Z",
    "[a-c]",
    "[^a]",
    r"[\w-]",
    r"[^\W\d]",
    r"[\s\S]",
    "[]x]",
    "[[]",
    r"\x41",
    r"\u00e9",
    r"\012",
    r"\.",
    "(?:a|$)",
    "(?i:É)",
    "(?=a)",
    "(?<!é)",
])
quantified = st.tuples(
    pieces, st.sampled_from(["", "", "", "*", "+?", "{,2}", "{1,2}"])
)
sequences = st.lists(quantified.map("".join), max_size=4).map("".join)
alternatives = st.lists(sequences, min_size=1, max_size=2).map("|".join)
patterns = st.tuples(st.sampled_from(["", "(?i)", "(?m)", "(?s)"]), alternatives).map(
    "".join
)
texts = st.text(st.sampled_from("aAbéÉ_ .]x[3٣\n\t\v\x85\xa0\u2003\u2028"), max_size=6)


@settings(patient, max_examples=300)
@given(patterns, st.lists(texts, min_size=1, max_size=4))
@example(r"\s", ["\x85"])
@example("a$|^", ["b\n"])
def test_patterns_agree_with_python(pattern, candidates):
    try:
        with warnings.catch_warnings(action="ignore"):
            python = re.compile(pattern)
    except re.error:
        assume(False)
        return

    ours = Pattern(pattern)

    for text in candidates:
        assume(text or r"\B" not in pattern)  # Python itself changed its mind in 3.14
        assert ours.search(text) is (python.search(text) is not None), text


@pytest.mark.parametrize(
    ("pattern", "is_slow"),
    [
        (r"^\w+\s*=\s*\d+$", False),
        (r"\bword\b", False),
        (r"[\s\S]*?</html>\s*$", False),
        ("(a+)+$", False),
        ("(?!a)b", True),
        (r"(a)\1", True),
        ("a{2000}", True),
    ],
)
def test_only_what_re2_cannot_express_is_slow(pattern, is_slow):
    assert Pattern(pattern).is_slow is is_slow


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (
            "(",
            "This is not a regular expression as Python knows them: missing ), unterminated subpattern "
            "at position 0.",
        ),
        (
            "a**",
            "This is not a regular expression as Python knows them: multiple repeat at position 2.",
        ),
        (
            r"\k",
            "This is not a regular expression as Python knows them: bad escape \\k at position 0.",
        ),
        (
            r"\pL",
            "This is not a regular expression as Python knows them: bad escape \\p at "
            "position 0.",
        ),
        (
            "a{4294967295}",
            "This is not a regular expression as Python knows them: the repetition "
            "number is too large.",
        ),
        ("(?=" * 2000 + ")" * 2000, "This regular expression is nested too deeply."),
        (
            "(?=a)x{e<=5}{2}",
            "This regular expression cannot be used: multiple repeat at position 12.",
        ),
        (
            "x" * (MAX_PATTERN_LENGTH + 1),
            "This regular expression has 10001 characters; 10000 is the limit.",
        ),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_place(pattern, message):
    with pytest.raises(ExpectedError) as caught:
        Pattern(pattern)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    "pattern",
    [
        "((a{1000}){1000}){1000}",
        "(?:(?:(?:a{60000}){60000}){60000}){60000}",
        "(?=a)a{100000000}",
        r"(?:\w{1000}){1000}",
    ],
)
def test_patterns_that_would_take_gigabytes_are_refused(pattern):
    with pytest.raises(ExpectedError, match="are too large together"):
        Pattern(pattern)


@pytest.mark.parametrize("depth", [90, 1500, 5000])
def test_deeply_nested_patterns_end_in_a_pattern_or_a_refusal(depth):
    source = "(" * depth + "a" + ")" * depth

    try:
        found = Pattern(source).search("a")
    except ExpectedError:
        found = True

    assert found


def test_a_search_that_takes_too_long_is_given_up():
    with pytest.raises(PatternTimeout, match="more than a second on this text"):
        Pattern(EXPONENTIAL).search(HOSTILE)


def test_other_threads_go_on_while_a_slow_search_runs():
    done = threading.Event()
    steps = 0

    def search() -> None:
        with pytest.raises(PatternTimeout):
            Pattern(EXPONENTIAL).search(HOSTILE)
        done.set()

    thread = threading.Thread(target=search)
    thread.start()
    while not done.wait(0.01):
        steps += 1
    thread.join()

    assert steps > 10


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){20}$"])
def test_what_ruins_other_engines_is_linear(pattern):
    assert not Pattern(pattern).search("a" * 200_000 + "!")


def test_a_program_too_large_for_a_fast_answer_is_slow_at_most():
    pattern = Pattern(r"[a-z]{1,999}" * 30 + "X")

    assert pattern.is_slow
    assert pattern.search("ab" * 100 + "X")


def test_only_the_beginning_of_a_huge_text_is_searched():
    assert not Pattern("needle").search("x" * MAX_TEXT_LENGTH + "needle")


def test_a_pattern_is_compiled_once():
    assert compile_pattern("once") is compile_pattern("once")


def test_refused_patterns_leave_no_trace_on_standard_error():
    program = (
        "import argos.patterns as p\n"
        "p.Pattern('(?=a)[[:x]')\n"
        "try: p.Pattern('(')\n"
        "except p.ExpectedError: pass\n"
    )

    finished = subprocess.run(
        [sys.executable, "-W", "default", "-c", program],
        capture_output=True,
        check=True,
        timeout=20,
    )

    assert finished.stderr == b""
