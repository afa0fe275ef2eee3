"""JSON from websites: read within limits, pointed into, compared and shown."""

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from itertools import zip_longest
from typing import Any, NoReturn

from argos.errors import UnreadableJSON

MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_JSON_DEPTH = 200

_INDEX = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_BAD_ESCAPE = re.compile(r"~(?![01])")
_MAX_INT_DIGITS = 4_000
"""Python refuses longer ones, since its conversion takes quadratic time."""
_TOO_DEEP = f"The answer's JSON is nested deeper than {MAX_JSON_DEPTH} levels."
_ABSENT = object()
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)


def read_json(body: bytes) -> Any:
    """Read a JSON text in UTF-8, UTF-16 or UTF-32; raises UnreadableJSON.

    NaN and the infinities, which JSON does not know, are refused. The last one of
    duplicate keys holds. Numbers keep their value, however many digits they have.
    """
    if not body.strip():
        raise UnreadableJSON("The answer is empty, not JSON.")
    if len(body) > MAX_JSON_BYTES:
        raise UnreadableJSON(f"The answer is longer than {MAX_JSON_BYTES} bytes.")
    try:
        document = _load(body)
    except json.JSONDecodeError as err:
        raise UnreadableJSON(f"The answer is not JSON: {err}.") from err
    except UnicodeDecodeError as err:
        raise UnreadableJSON("The answer is not JSON: it is not in UTF-8.") from err
    except RecursionError as err:
        raise UnreadableJSON(_TOO_DEEP) from err
    if _is_too_deep(document):
        raise UnreadableJSON(_TOO_DEEP)
    return document


def resolve(document: Any, pointer: str) -> Any:
    """The value at a pointer of RFC 6901; raises LookupError when there is none."""
    if pointer and not pointer.startswith("/"):
        raise LookupError("a pointer begins with /")
    if _BAD_ESCAPE.search(pointer):
        raise LookupError("~ stands only before 0 or 1")
    value = document
    for token in pointer.split("/")[1:]:
        value = _step(value, token.replace("~1", "/").replace("~0", "~"))
    return value


def first_difference(expected: Any, found: Any, pointer: str = "") -> str | None:
    """The pointer to the first place where two documents differ; None: they do not.

    Numbers are equal by value (1 and 1.0); true is not 1, as it is to Python.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        pairs: list[tuple[Any, Any, Any]] = [
            (key, expected.get(key, _ABSENT), found.get(key, _ABSENT))
            for key in expected | found
        ]
    elif isinstance(expected, list) and isinstance(found, list):
        pairs = [
            (index, *pair)
            for index, pair in enumerate(
                zip_longest(expected, found, fillvalue=_ABSENT)
            )
        ]
    else:
        return None if _is_same_scalar(expected, found) else pointer
    for token, wanted, value in pairs:
        place = f"{pointer}/{_escape(str(token))}"
        difference = first_difference(wanted, value, place)
        if difference is not None:
            return difference
    return None


def excerpt(value: Any, limit: int) -> Any:
    """The value, or, where its JSON text is longer than the limit, the text's start."""
    text = ""
    for chunk in _ENCODER.iterencode(value):
        text += chunk[: limit + 1]
        if len(text) > limit:
            return f"{text[:limit]}…"
    return value


def to_json(value: Any) -> str:
    """JSON text for people: not escaped more than it must be."""
    return _ENCODER.encode(value)


def _load(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:  # a number is too long; the call-back costs three times the time
        return json.loads(body, parse_constant=_refuse, parse_int=_integer)


def _refuse(constant: str) -> NoReturn:
    raise UnreadableJSON(f"The answer is not JSON: it holds {constant}.")


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else Decimal(digits)


def _is_too_deep(document: Any) -> bool:
    level = [document]
    for _ in range(MAX_JSON_DEPTH):
        level = [
            child
            for node in level
            for child in _children(node)
            if isinstance(child, list | dict)
        ]
        if not level:
            return False
    return True


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _step(value: Any, token: str) -> Any:
    if isinstance(value, dict):
        return value[token]
    if isinstance(value, list) and _INDEX.fullmatch(token):
        return value[int(token)]
    raise LookupError(token)


def _is_same_scalar(expected: Any, found: Any) -> bool:
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    return bool(expected == found)


def _escape(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1")
