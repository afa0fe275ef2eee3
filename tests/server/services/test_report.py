"""Whatever an agent posts: it is read, refused or made harmless, never an exception."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from argos.protocol import MAX_CONTEXT_BYTES, PhaseTimings
from argos.server.services.report import (
    MAX_DEPTH,
    ReadResult,
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


# -- the quick pass


LIKELY = st.fixed_dictionaries(
    {
        "task_id": st.integers(-1, 2**64),
        "status": st.sampled_from(["success", "failure", "error", "on-check", "?"]),
        "context": st.dictionaries(
            st.text(), st.text() | st.integers() | st.floats(allow_nan=False)
        ),
    },
    optional={
        "lease_no": st.none() | st.integers(),
        "leased_at": st.sampled_from([
            "2026-03-14T12:00:00.123456+00:00",
            "2026-03-14T12:00:00Z",
            "2026-03-14T12:00:00",
            None,
        ]),
        "elapsed_us": st.integers(-1, 10**13),
        "timings": st.none()
        | st.fixed_dictionaries(
            {}, optional={"total_us": st.integers(-1, 2**31), "dns_us": st.none()}
        ),
        "more": st.text(),
    },
)


@given(st.lists(LIKELY, max_size=3), st.booleans())
def test_the_quick_pass_reads_what_a_close_look_reads(items, ascii_only):
    body = json.dumps(items, ensure_ascii=ascii_only).encode("utf-8", "replace")
    quick = parse_report(body)

    read, refused = read_items(quick)
    closely, closely_refused = read_items(json.loads(body))

    assert [(no.index, no.task_id) for no in refused] == [
        (no.index, no.task_id) for no in closely_refused
    ]
    for one, other in zip(read, closely, strict=True):
        assert (one.index, one.facts) == (other.index, other.facts)
        for name in ("task_id", "status", "lease_no", "leased_at", "elapsed_us"):
            assert getattr(one.result, name) == getattr(other.result, name)
        for name in PhaseTimings.model_fields if one.result.timings else ():
            assert getattr(one.result.timings, name) == getattr(
                other.result.timings, name
            )
        assert bool(one.result.timings) == bool(other.result.timings)


def test_a_report_of_our_agents_is_read_by_the_quick_pass():
    item = {
        "task_id": 1, "status": "success", "context": {"reason": "a \"quoted\" text"},
        "lease_no": 2, "leased_at": "2026-03-14T12:00:00.123456+00:00",
        "elapsed_us": 3, "timings": {"total_us": 4},
    }  # fmt: skip

    (parsed,) = parse_report(json.dumps([item]).encode())

    assert isinstance(parsed, ReadResult)


@pytest.mark.parametrize(
    "context",
    ['{"a": "\\u0000"}', '{"a": 1e999}', '{"a": "\u00e9"}', f'{{"a": {"9" * 5000}}}',
     '{"a": [' + "[" * 40 + "]" * 40 + "]}", "[]", "null", '{"a": "\u202e"}'],
)  # fmt: skip
def test_a_context_that_needs_care_gets_it(context):
    body = f'[{{"task_id": 1, "status": "success", "context": {context}}}]'.encode()

    read, refused = read_items(parse_report(body))

    assert len(read) + len(refused) == 1
    for item in read:
        facts = json.loads(context, parse_int=_as_number_or_text)
        assert item.context == tidy_context(facts)[1]


def _as_number_or_text(digits: str) -> int | str:
    """Longer numbers than Python reads by default are kept as texts."""
    return int(digits) if len(digits) <= 400 else digits
