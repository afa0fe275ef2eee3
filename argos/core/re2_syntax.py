"""Python's regular expressions, rewritten so that RE2 takes them for the same.

What differs: `$` before a final newline, `\\Z`, what `\\d`, `\\s`, `\\w` and `\\b` hold
beyond ASCII, `{,3}`, octal and Unicode escapes, and `[` inside a set.
"""

import re

_ESCAPE = r"""
    \\ (?: 0[0-7]{0,2} | [0-3][0-7]{2} | x[0-9a-fA-F]{2} | u[0-9a-fA-F]{4}
         | U[0-9a-fA-F]{8} | . )
"""
_TOKEN = re.compile(
    rf"""
      (?P<escape> {_ESCAPE} )
    | (?P<set> \[ \^? \]? (?: \\. | [^\]\\] )* \] )
    | (?P<end> \$ )
    | (?P<repeat> \{{ (?: ,[0-9]* | [0-9]+ (?: ,[0-9]* )? ) \}} )
    | (?P<plain> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_SET = re.compile(r"\[(\^?)(.*)\]", re.DOTALL)
_SET_ITEM = re.compile(rf"{_ESCAPE} | .", re.VERBOSE | re.DOTALL)
_LAST_END = re.compile(r"\)*(?:\||\Z)")
_LOCAL_FLAGS = re.compile(r"\(\?[a-zA-Z]*-?[a-zA-Z]*[mx][a-zA-Z]*:")

# What a set may hold in place of Python's classes. RE2's own know ASCII only, and its
# \s lacks \v and the information separators. For ASCII texts the narrow forms will do:
# a program of Unicode ranges is a hundred times longer. The complement of \w beyond
# ASCII cannot be written inside a set.
_SPACE = r"\t-\r\x1c-\x20"
_NOT_SPACE = r"\x00-\x08\x0e-\x1b\x21-"
_NARROW = {
    "d": r"\d",
    "D": r"\D",
    "w": r"\w",
    "W": r"\W",
    "s": _SPACE,
    "S": _NOT_SPACE + r"\x7f",
}
_WIDE = {
    "d": r"\p{Nd}",
    "D": r"\P{Nd}",
    "w": r"\pL\pN_",
    "s": _SPACE + r"\x{85}\x{a0}\pZ",
    "S": _NOT_SPACE + r"\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}"
    r"\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}"
    r"\x{3001}-\x{10ffff}",
}
_COMPLEMENT = {"D": "d", "W": "w", "S": "s"}
_ANYTHING = r"\x00-\x{10ffff}"
_LONGEST_COUNT = 10
"""Digits of a repetition's count; more of them are too many in any case."""
_CONTROLS = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}


class _NoWordsError(Exception):
    """RE2 cannot express this."""


def to_re2(pattern: str, flags: int, *, is_wide: bool) -> str | None:
    """Rewrite a pattern that Python's `re` accepts, and compiles to these flags.

    The narrow form is for texts of ASCII only, the wide form for all others. None: RE2
    has no words for it; else it may still refuse it, as look-around is left in place.
    """
    if flags & (re.VERBOSE | re.ASCII) or _LOCAL_FLAGS.search(pattern):
        return None
    try:
        return "".join(
            _rewrite(token, pattern, is_wide, is_multiline=bool(flags & re.MULTILINE))
            for token in _TOKEN.finditer(pattern)
        )
    except _NoWordsError:
        return None


def expanded_size(pattern: str) -> int:
    """How many parts a pattern has once its repetitions are written out.

    An engine that does write them out needs gigabytes for `((a{1000}){1000}){1000}`.
    """
    sizes = [0]
    last = 0
    for token in _TOKEN.finditer(pattern):
        if token.lastgroup == "repeat":
            least = token[0].strip("{}").partition(",")[0]
            times = max(1, int(least[:_LONGEST_COUNT] or 0))
            sizes[-1] += last * (times - 1)
            last *= times
            continue
        last = 1
        if token[0] == "(":
            sizes.append(0)
        elif token[0] == ")" and len(sizes) > 1:
            last += sizes.pop()
        sizes[-1] += last
    return sum(sizes)


def _rewrite(
    token: re.Match[str], pattern: str, is_wide: bool, *, is_multiline: bool
) -> str:
    match token.lastgroup:
        case "escape":
            return _escape(token[0], is_wide)
        case "set":
            return _set(token[0], is_wide)
        case "repeat":
            return token[0].replace("{,", "{0,")
        case "end" if not is_multiline:
            # RE2's $ does not look past a final newline, so ours takes it along; that
            # is the same only if nothing comes after.
            if not _LAST_END.match(pattern, token.end()):
                raise _NoWordsError
            return r"(?:\n?\z)"
        case _:
            return token[0]


def _escape(escape: str, is_wide: bool) -> str:
    letter = escape[1]
    if letter in "Zz":
        return r"\z"
    if letter == "A" or (letter in "bB" and not is_wide):
        return escape
    if letter in "bB":
        raise _NoWordsError
    if letter in _COMPLEMENT:
        return f"[^{_classes(is_wide)[_COMPLEMENT[letter]]}]"
    if letter in _NARROW:
        return f"[{_classes(is_wide)[letter]}]"
    return _character(escape)


def _set(text: str, is_wide: bool) -> str:
    match = _SET.fullmatch(text)
    assert match is not None  # the token's own pattern is narrower
    negation, content = match.groups()
    items = _SET_ITEM.findall(content)
    if any({f"\\{letter}", f"\\{letter.lower()}"} <= {*items} for letter in "DSW"):
        return f"[{negation}{_ANYTHING}]"
    return f"[{negation}{''.join(_in_set(item, is_wide) for item in items)}]"


def _in_set(item: str, is_wide: bool) -> str:
    if item in {"[", "]"}:
        return f"\\{item}"
    if len(item) == 1:
        return item
    if item[1] == "b":
        return r"\x{8}"
    if item[1] not in _NARROW:
        return _character(item)
    words = _classes(is_wide).get(item[1])
    if words is None:
        raise _NoWordsError
    return words


def _classes(is_wide: bool) -> dict[str, str]:
    return _WIDE if is_wide else _NARROW


def _character(escape: str) -> str:
    digits = escape[1:]
    if digits[0] in "xuU":
        code = int(digits[1:], 16)
    elif digits[0] in _CONTROLS:
        code = _CONTROLS[digits[0]]
    elif digits[0] == "0" or len(digits) == 3:
        code = int(digits, 8)
    elif digits[0].isascii() and digits[0].isalnum():
        raise _NoWordsError  # a back-reference, or \N{…}
    else:
        code = ord(digits)
    return f"\\x{{{code:x}}}"
