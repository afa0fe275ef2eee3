"""How the faults of a config are put into words."""

import difflib
import re
from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from typing import Any

from pydantic_core import ErrorDetails

from argos.durations import format_duration

LIST = "a list (lines that begin with `- `)"
MAPPING = "a mapping (lines with `key: value`)"

_MAX_SHOWN = 60
_USER_INFO = re.compile(r"//[^/\s]*@")
"""The password in a URL is a secret."""
_PREDICATES = {
    "bool_parsing": "must be yes or no, not {shown}",
    "bool_type": "must be yes or no, not {shown}",
    "dict_type": f"must be {MAPPING}",
    "enum": "must be {expected}, not {shown}{hint}",
    "greater_than": "must be more than {gt}, not {shown}",
    "greater_than_equal": "must be at least {ge}, not {shown}",
    "int_from_float": "must be a whole number, not {shown}",
    "int_parsing": "must be a whole number, not {shown}",
    "int_parsing_size": "must be a whole number with fewer digits",
    "int_type": "must be a whole number, not {shown}",
    "less_than_equal": "must be at most {le}, not {shown}",
    "literal_error": "must be {expected}, not {shown}{hint}",
    "mapping_type": f"must be {MAPPING}",
    "missing": "is missing here",
    "path_type": "must be the path of a folder, not {shown}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must not be empty",
    "string_type": "must be a text; put it in quotes if it is one",
    "tuple_type": f"must be {LIST}",
    "url_parsing": "must be an address such as https://example.org/, not {shown}",
    "url_scheme": "must begin with http:// or https://, not {shown}",
    "url_type": "must be an address such as https://example.org/, not {shown}",
    "url_too_long": "must have at most {max_length} characters",
    "value_error": "{error}",
}
"""By pydantic's type of error; a secret must never reach one that shows the value."""


def describe(details: ErrorDetails) -> str:
    """What is wrong with a value, as the predicate of a sentence."""
    predicate = _PREDICATES.get(details["type"])
    if predicate is None:
        return f"cannot be used: {details['msg']}"
    facts: dict[str, Any] = dict(details.get("ctx", {}))
    if "expected" in facts:
        choices = facts["expected"].split("'")[1::2]
        facts["expected"] = facts["expected"].replace("'", "`")
        facts["hint"] = did_you_mean(str(details["input"]), choices)
    return predicate.format(**facts, shown=show(details["input"]))


def show(value: object) -> str:
    """A value, short enough for a message and on one line."""
    words = {None: "nothing", True: "yes", False: "no"}
    if value is None or isinstance(value, bool):
        return words[value]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, timedelta):
        return format_duration(value)
    text = _USER_INFO.sub("//…@", str(value))
    cut = text[:_MAX_SHOWN]
    shown = repr(cut) if isinstance(value, str) else cut
    return shown if cut == text else f"{shown}…"


@lru_cache(maxsize=1024)
def say_unknown(key: str, known: tuple[str, ...]) -> str:
    """A sentence on a key that has no effect."""
    hint = did_you_mean(key, known) or f"; the known keys are {listed(known)}"
    return f"The unknown key `{show_key(key)}` has no effect{hint}"


def did_you_mean(
    word: str, known: Iterable[str], *, question: str = "did you mean"
) -> str:
    """The end of a sentence that names the nearest known word, if one is near."""
    by_lower = {name.lower(): name for name in known}
    nearest = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f"; {question} `{by_lower[nearest[0]]}`?" if nearest else ""


def listed(words: Iterable[str]) -> str:
    """Words, one after the other, as code."""
    return ", ".join(f"`{word}`" for word in words)


def show_key(key: str) -> str:
    """A key, on one line."""
    text = repr(key)[1:-1]
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
