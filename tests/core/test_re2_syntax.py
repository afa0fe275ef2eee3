import re
import warnings

import pytest

from argos.core.re2_syntax import expanded_size, to_re2

ANY = r"[\x00-\x{10ffff}]"


def rewrite(pattern: str, *, is_wide: bool) -> str | None:
    with warnings.catch_warnings(action="ignore"):  # Python's, on sets like [[:x:]]
        flags = re.compile(pattern).flags
    return to_re2(pattern, flags, is_wide=is_wide)


@pytest.mark.parametrize(
    ("pattern", "narrow"),
    [
        ("", ""),
        ("a.b*(?:c|d)+?[e-g]", "a.b*(?:c|d)+?[e-g]"),
        ("(?i)(?P<n>x)^", "(?i)(?P<n>x)^"),
        ("a$", r"a(?:\n?\z)"),
        ("(a$|b$)", r"(a(?:\n?\z)|b(?:\n?\z))"),
        ("(?m)a$", "(?m)a$"),
        ("(?m)a$b", "(?m)a$b"),
        ("[$]", "[$]"),
        (r"\$", r"\x{24}"),
        (r"\A\Z", r"\A\z"),
        (r"\b\B", r"\b\B"),
        (r"\d\D", r"[\d][^\d]"),
        (r"\w\W", r"[\w][^\w]"),
        (r"\s\S", r"[\t-\r\x1c-\x20][^\t-\r\x1c-\x20]"),
        (r"[\s-]", r"[\t-\r\x1c-\x20-]"),
        (r"[\S]", r"[\x00-\x08\x0e-\x1b\x21-\x7f]"),
        (r"[^\W_]", r"[^\W_]"),
        (r"[\s\S]", ANY),
        (r"[x\w\W]", ANY),
        (r"[^\d\D]", r"[^\x00-\x{10ffff}]"),
        ("[[:alpha:]]", r"[\[:alpha:]]"),
        ("[]a]", r"[\]a]"),
        ("[^]a]", r"[^\]a]"),
        (r"[\b\]\\]", r"[\x{8}\x{5d}\x{5c}]"),
        ("a{,3}b{,}c{2,}", "a{0,3}b{0,}c{2,}"),
        ("a{x}", "a{x}"),
        (r"\0\012\07x\377", r"\x{0}\x{a}\x{7}x\x{ff}"),
        (r"\x41\u00e9\U0001f525", r"\x{41}\x{e9}\x{1f525}"),
        (r"\a\f\n\r\t\v", r"\x{7}\x{c}\x{a}\x{d}\x{9}\x{b}"),
        ("\\é\\\n\\/", r"\x{e9}\x{a}\x{2f}"),
    ],
)
def test_the_narrow_form(pattern, narrow):
    assert rewrite(pattern, is_wide=False) == narrow


@pytest.mark.parametrize(
    ("pattern", "wide"),
    [
        ("a$", r"a(?:\n?\z)"),
        (r"\d\D", r"[\p{Nd}][^\p{Nd}]"),
        (r"\w\W", r"[\pL\pN_][^\pL\pN_]"),
        (r"\s", r"[\t-\r\x1c-\x20\x{85}\x{a0}\pZ]"),
        (r"[\w.-]", r"[\pL\pN_.-]"),
        (r"[\D]", r"[\P{Nd}]"),
        (r"[\W\w]", ANY),
        (r"\bx", None),
        (r"\Bx", None),
        (r"[\W]", None),
    ],
)
def test_the_wide_form(pattern, wide):
    assert rewrite(pattern, is_wide=True) == wide


@pytest.mark.parametrize(
    "pattern",
    [
        "(?x)a b",
        r"(?a)\w",
        "(?m:a$)",
        "(?s-m:a$)",
        "(?x: a )",
        r"a$\n",
        "a$b",
        r"(a)\1",
        r"(?P<a>x)(?P<b>y)\2",
        r"\N{EM DASH}",
    ],
)
@pytest.mark.parametrize("is_wide", [False, True])
def test_re2_has_no_words_for_some_things(pattern, is_wide):
    assert rewrite(pattern, is_wide=is_wide) is None


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("", 0),
        ("abc", 3),
        ("a{3}", 3),
        ("a{3,9}b{,5}c{0}", 5),
        (r"[a-z()]{10}\({10}", 20),
        ("(?:ab{10}){10}", 150),
        ("a{b}", 4),
        ("a{" + "9" * 5000 + "}", 9_999_999_999),
        (")", 1),
        ("(a", 2),
    ],
)
def test_the_size_counts_what_repetitions_stand_for(pattern, size):
    assert expanded_size(pattern) == size
