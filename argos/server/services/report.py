"""Read what an agent posts, item by item: whatever it is, nothing of it breaks us.

A report as agents write it is read in one pass, which leaves the contexts as they came.
Only where that pass finds fault are the items read one by one, to tell which is bad.
"""

import json
import math
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from pydantic import TypeAdapter, ValidationError

from argos.core.severity import Status
from argos.core.text import cut, visible
from argos.protocol import (
    CUT_OFF,
    DOUBT,
    MAX_CONTEXT_BYTES,
    MAX_ELAPSED_US,
    AgentResult,
    Refusal,
)

MAX_DEPTH = 32
"""How deep lists and mappings of a context may nest."""
MAX_ID = 2**63 - 1
TRUNCATED = "truncated"
"""The context's entry that says how many bytes it had before it was cut."""

_MAX_DIGITS = 400
_SHORT = 300
"""Bytes of a context that is worth to be remembered."""
_LONGEST_ESCAPE = 12
"""Bytes that JSON needs at most for one character."""

# JSON escapes of what `visible` would show, and of some harmless neighbours.
_MAY_HIDE = re.compile(
    r"\\(?:[bfr]|u(?:00[01]|007f|00[89]|061c|20[026]|feff|fff[9ab]|d[89a-f]))",
    re.IGNORECASE,
)
_encoder = json.JSONEncoder(allow_nan=False)
_adapter = TypeAdapter(AgentResult)


# What would be changed before it is stored, or might be.
_UNUSUAL = re.compile(rb"""[^\x20-\x7e]|\\[^"\\/nt]|[0-9]{16}|[0-9][eE]""")

Microseconds = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class ReadTimings(msgspec.Struct, gc=False, frozen=True):
    """`protocol.PhaseTimings`, as the quick pass reads it."""

    dns_us: Microseconds | None = None
    connect_us: Microseconds | None = None
    tls_us: Microseconds | None = None
    first_byte_us: Microseconds | None = None
    transfer_us: Microseconds | None = None
    total_us: Microseconds | None = None
    timing_error_us: Microseconds = 0


class ReadResult(msgspec.Struct, gc=False, frozen=True):
    """`protocol.AgentResult`, likewise: only what it would accept, too."""

    task_id: int
    status: Status
    context: msgspec.Raw
    lease_no: int | None = None
    leased_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    elapsed_us: Annotated[int, msgspec.Meta(ge=0, le=MAX_ELAPSED_US)] | None = None
    timings: ReadTimings | None = None


_decoder = msgspec.json.Decoder(list[ReadResult])


class ReportError(ValueError):
    """The report as a whole cannot be read."""


class ReadItem(msgspec.Struct, gc=False):
    """One item of a report that can be used."""

    index: int
    result: AgentResult | ReadResult
    context: str
    """JSON text, visible and bounded."""
    _facts: dict[str, Any] | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What the text says."""
        if self._facts is None:
            self._facts = json.loads(self.context)
        return self._facts

    @property
    def timings(self) -> tuple[int | None, ...]:
        """How long each phase took, in the order of `PhaseTimings`."""
        timings = self.result.timings
        if timings is None:
            return ()
        if isinstance(timings, ReadTimings):
            return msgspec.structs.astuple(timings)
        return tuple(vars(timings).values())


def parse_report(body: bytes) -> Sequence[object]:
    """The items of a report; raises ReportError when it is no JSON list."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _parse_slowly(body)


def _parse_slowly(body: bytes) -> list[object]:
    """The items, unread: any of them may be bad."""
    try:
        try:
            items = json.loads(body)
        except ValueError as err:
            if "digits" not in str(err):
                raise
            # A number longer than Python reads by default costs its own item only.
            items = json.loads(body, parse_int=_parse_int)
    except (ValueError, RecursionError) as err:
        reason = "nested too deep" if isinstance(err, RecursionError) else str(err)
        raise ReportError(f"The report is no JSON: {cut(reason, 200)}") from err
    if not isinstance(items, list):
        raise ReportError("Input should be a valid list")
    return items


def _parse_int(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def read_items(
    items: Sequence[object], *, first_index: int = 0
) -> tuple[list[ReadItem], list[Refusal]]:
    """Split items into those that can be used, and refusals of the others."""
    read: list[ReadItem] = []
    refused: list[Refusal] = []
    for index, item in enumerate(items, first_index):
        if isinstance(item, ReadResult) and 0 < item.task_id <= MAX_ID:
            raw = bytes(item.context)
            if len(raw) <= _SHORT and (text := _plain_text(raw)) is not None:
                read.append(ReadItem(index, item, text))  # as nearly all
                continue
        try:
            read.append(_read_item(index, item))
        except ValueError as err:
            refused.append(
                Refusal(index=index, task_id=_task_id(item), reason=_explain(err))
            )
    return read, refused


def _read_item(index: int, item: object) -> ReadItem:
    if isinstance(item, ReadResult):
        return _take_read(index, item)
    result = _adapter.validate_python(item)
    if not 0 < result.task_id <= MAX_ID:
        raise ValueError("There is no such task.")
    if result.leased_at is not None and result.leased_at.tzinfo is None:
        raise ValueError("leased_at: it has no time zone.")
    _, text = tidy_context(result.context)
    return ReadItem(index, result, text)


def _take_read(index: int, result: ReadResult) -> ReadItem:
    if not 0 < result.task_id <= MAX_ID:
        raise ValueError("There is no such task.")
    raw = bytes(result.context)
    if (text := _plain_text.__wrapped__(raw)) is not None:
        return ReadItem(index, result, text)
    context = json.loads(raw, parse_int=_parse_int)
    if not isinstance(context, dict):
        raise ValueError("context: Input should be a valid dictionary")  # noqa: TRY004  # an answer, as of all bad items
    _, text = tidy_context(context)
    return ReadItem(index, result, text)


@lru_cache(maxsize=4096)  # those of websites that are well are mostly alike
def _plain_text(raw: bytes) -> str | None:
    """The text of an object that can be stored as it came."""
    is_plain = raw == b"{}" or (
        raw[:1] == b"{"
        and len(raw) <= MAX_CONTEXT_BYTES
        and _UNUSUAL.search(raw) is None
        and raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH
    )
    return raw.decode("ascii") if is_plain else None


def tidy_context(context: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """A context that every database can keep, and its JSON text.

    What is hidden in a text is shown, numbers that are none become texts, and what is
    too long is cut and marked. Raises ValueError when it nests too deep.
    """
    text = _dump(context)
    if text is None or _MAY_HIDE.search(text) or _may_be_deep(text):
        context = {_clean(key, 0): _clean(value, 1) for key, value in context.items()}
        text = json.dumps(context)
    if len(text) > MAX_CONTEXT_BYTES:
        context = _shorten(context, len(text))
        text = json.dumps(context)
    return context, text


def _dump(context: dict[str, Any]) -> str | None:
    if not context:
        return "{}"
    try:
        return _encoder.encode(context)
    except (ValueError, RecursionError):
        return None


def _may_be_deep(text: str) -> bool:
    return text.count("{") + text.count("[") > MAX_DEPTH


def _clean(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"context: it nests deeper than {MAX_DEPTH} levels.")
    match value:
        case str():
            lines = re.split(r"([\n\t])", value)
            return "".join(
                line if line in {"\n", "\t"} else visible(line) for line in lines
            )
        case dict():
            return {
                _clean(key, 0): _clean(kept, depth + 1) for key, kept in value.items()
            }
        case list():
            return [_clean(kept, depth + 1) for kept in value]
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value


def _shorten(context: dict[str, Any], size: int) -> dict[str, Any]:
    """Keep what is short, cut what is long, leave out what still has no room."""
    room = MAX_CONTEXT_BYTES - len(f', "{TRUNCATED}": {size}') - 2
    kept: dict[str, Any] = {}
    for key, value in sorted(context.items(), key=lambda fact: len(json.dumps(fact))):
        for form in (value, cut(_as_text(value), room // _LONGEST_ESCAPE)):
            length = len(json.dumps({key: form}))
            if length <= room:
                kept[key] = form
                room -= length
                break
    order = {key: kept[key] for key in context if key in kept}
    return {**order, TRUNCATED: size}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _task_id(item: object) -> int | None:
    if isinstance(item, ReadResult):
        return item.task_id if 0 < item.task_id <= MAX_ID else None
    value = item.get("task_id") if isinstance(item, dict) else None
    if isinstance(value, int) and 0 < value <= MAX_ID:
        return value
    return None


def _explain(err: ValueError) -> str:
    if not isinstance(err, ValidationError):
        return str(err)
    fault = err.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in fault["loc"]) or "item"
    return visible(cut(f"{place}: {fault['msg']}", 300))


def is_cut_off(item: ReadItem) -> bool:
    """Whether the agent says that it cannot reach its references either."""
    # Most contexts need not be read at all.
    return CUT_OFF in item.context and item.facts.get(DOUBT) == CUT_OFF
