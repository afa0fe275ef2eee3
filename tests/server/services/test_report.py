"""Whatever an agent posts: it is read, refused or made harmless, never an exception."""

import json
import math
from typing import Any

from hypothesis import given, settings, strategies as st

from argos.protocol import MAX_CONTEXT_BYTES
from argos.server.services.report import (
    MAX_DEPTH,
    ReportError,
    parse_report,
    read_items,
    tidy_context,
)

ANY_TEXT = st.text(
    st.characters(codec=None, exclude_categories=[]) | st.sampled_from("\0\ud800\n\r")
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    max_leaves=20,
)


@given(st.binary())
def test_any_bytes_are_a_list_or_an_error(body):
    try:
        items = parse_report(body)
    except ReportError:
        return

    assert isinstance(items, list)


@given(st.lists(ANY_JSON | st.fixed_dictionaries(
    {"task_id": ANY_JSON, "status": ANY_JSON | st.just("success"), "context": ANY_JSON},
    optional={
        "lease_no": ANY_JSON, "leased_at": ANY_JSON, "elapsed_us": ANY_JSON,
        "timings": ANY_JSON,
    },
)))  # fmt: skip
def test_each_item_is_read_or_refused(items):
    parsed = parse_report(json.dumps(items).encode())

    read, refused = read_items(parsed, first_index=5)

    indexes = [item.index for item in read] + [refusal.index for refusal in refused]
    assert sorted(indexes) == list(range(5, 5 + len(items)))
    assert all(refusal.reason for refusal in refused)
    for refusal in refused:
        refusal.model_dump_json()


@given(st.dictionaries(ANY_TEXT, ANY_JSON))
def test_any_context_becomes_text_that_every_database_keeps(context):
    facts, text = tidy_context(context)

    assert json.loads(text) == facts
    assert "\\u0000" not in text.replace("\\\\", "")
    text.encode()
    json.loads(text, parse_constant=_refuse)
    for string in _strings(facts):
        string.encode()
        assert "\0" not in string


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def _strings(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [
                *value,
                *(text for kept in value.values() for text in _strings(kept)),
            ]
        case list():
            return [text for kept in value for text in _strings(kept)]
    return []


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.text(max_size=5),
        st.builds(
            lambda text, count: text * count,
            st.text(min_size=1, max_size=3),
            st.integers(0, 40_000),
        ),
        max_size=8,
    )
)
def test_long_contexts_are_cut_to_the_cap_and_say_so(context):
    facts, text = tidy_context(context)

    assert len(text) <= MAX_CONTEXT_BYTES
    if "truncated" not in facts:
        assert len(facts) == len(context)
    if len(json.dumps(context)) > MAX_CONTEXT_BYTES:
        assert facts["truncated"] > MAX_CONTEXT_BYTES


def test_context_of_many_facts_keeps_the_short_ones():
    context: dict[str, Any] = {f"fact{place}": "x" * 10_000 for place in range(20)}
    context["reason"] = "short"

    facts, text = tidy_context(context)

    assert facts["reason"] == "short"
    assert list(facts)[-1] == "truncated"
    assert len(text) <= MAX_CONTEXT_BYTES


def test_key_that_is_too_long_is_left_out():
    facts, _ = tidy_context({"x" * 100_000: 1, "reason": "short"})

    assert facts == {"reason": "short", "truncated": 100_026}


def test_depth_is_counted_in_levels():
    def nested(depth: int) -> Any:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        return value

    tidy_context({"a": nested(MAX_DEPTH - 1)})
    item = {"task_id": 1, "status": "success", "context": {"a": nested(MAX_DEPTH)}}
    _, refused = read_items([item])

    assert refused[0].reason == "context: it nests deeper than 32 levels."


def test_numbers_that_are_none_become_texts():
    facts, _ = tidy_context({"a": math.nan, "b": [math.inf], "c": 1.5})

    assert facts == {"a": "nan", "b": ["inf"], "c": 1.5}
