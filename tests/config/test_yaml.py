"""Texts become the same values as with PyYAML's own loader, each with its place."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, strategies as st

from argos.schemas.node import (
    ListNode,
    MappingNode,
    Node,
    Refused,
    ScalarNode,
    plain,
    unpack_place,
)
from argos.schemas.reading import Reading
from argos.server import yaml_source
from argos.server.yaml_source import Source, Tally, compose


def _compose(text: str, *, tally: Tally | None = None) -> tuple[Node, Reading]:
    reading = Reading(files=["config.yaml"])
    source = Source(text, 0, reading, tally or Tally(), include=lambda node, _: node)
    return compose(source), reading


def _load(text: str) -> Any:
    node, reading = _compose(text)
    assert not reading.faults.count, reading.faults.listed(reading.files)
    return plain(node)


def _written(value: Any) -> str:
    """Tells apart what Python takes for equal, and shows the order of keys."""
    return repr(value)


TEXTS = [
    "",
    "# nothing",
    "~",
    "a",
    "{}",
    "[]",
    "- a\n- [b, c]\n- {d: e}",
    "a: 1\nb: 2\na: 3",
    "{1: a, true: b, 1.0: c}",
    "{true: a, 1: b}",
    "base: &b {x: 1, y: 2}\nnew: {<<: *b, y: 3}",
    "base: &b {x: 1, y: 2}\nnew: {y: 3, z: 4, <<: *b}",
    "a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b], z: 3}",
    "a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: *a, <<: *b}",
    "a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b, y: 3}",
    "a: &a {1: x}\nc: {<<: *a, true: y}",
    "!!merge <<: {a: b}",
    "'<<': a",
    "a: <",
    "[yes, No, ON, off, true, False, y, n, Y]",
    "[0, 010, 08, 0x1F, 0b11, 1_000, +1, -1, 190:20:30, 1:60]",
    "[1.5, .5, 1., 1e3, 1.0e+3, -1.5E-3, .inf, -.INF, .nan, 1_0.5, 1:30.5]",
    "[2026-01-02, 2026-01-02T03:04:05Z, 2026-01-02 03:04:05.678 +01:00, 2026-1-2]",
    "[null, Null, NULL, ~, nil, none]",
    "[!!str 1, !!int '1', !!float 1, !!bool 'yes', !!null 'x', ! 1, !!str '']",
    "[!!seq [a], !!map {a: b}, ! [a], ! {a: b}]",
    "a: |\n  b\n  c\nd: >-\n  e\n  f",
    "? a\n: b\n? c",
    "a: 'it''s'\nb: \"\\u00e9\\t\\x41\\0\"",
    "&a a: *a",
    "- &x [1]\n- *x",
    "é: ü ☃ 😀",
    "%YAML 1.1\n---\na: b\n...\n",
]


@pytest.mark.parametrize("text", TEXTS, ids=repr)
def test_a_text_means_what_the_library_makes_of_it(text):
    expected = yaml.load(text, Loader=yaml.CSafeLoader)

    assert _written(_load(text)) == _written(expected)


def test_tuples_binary_texts_and_equals_signs_are_what_their_readers_want():
    text = "[!!python/tuple [a, b], !!binary aGVsbG8=, =]"

    assert _load(text) == [["a", "b"], "hello", "="]


# A lone "=" is written, but not read, by the library.
_texts = st.text().filter(lambda text: text != "=")
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.dates()
    | _texts
)
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_values, st.booleans(), st.booleans())
def test_what_is_written_is_read(value, in_one_line, with_unicode):
    text = yaml.safe_dump(
        value,
        default_flow_style=in_one_line,
        allow_unicode=with_unicode,
        sort_keys=False,
    )

    expected = yaml.load(text, Loader=yaml.CSafeLoader)
    assert _written(_load(text)) == _written(expected)


_TOKENS = [*"ab1[]{}'\"#|~?<", " ", " ", "\n", "\n  ", ": ", ": ", "- ", "- ", ", "]
_TOKENS += [
    "&x ",
    "*x",
    "<<: ",
    "!!str ",
    "!!int ",
    "!!timestamp ",
    "!b ",
    "1:30",
    "---",
]


@given(st.lists(st.sampled_from(_TOKENS), max_size=25).map("".join))
def test_nonsense_is_read_as_the_library_does_or_refused(text):
    try:
        expected = yaml.load(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError):
        assume("<<" not in text)  # as a value it is a text to us
        with pytest.raises((Refused, AssertionError)):
            _load(text)
        return

    try:
        found = _load(text)
    except Refused:
        assume("*x" in text)  # we know no value that holds itself
        return

    assert _written(found) == _written(expected)


def test_each_value_knows_its_place():
    node, _ = _compose("a:\n  - 'b'\n  - c: [d, é, f]\n")

    assert isinstance(node, MappingNode)
    items = node.values[0]
    assert isinstance(items, ListNode)
    inner = items.items[1]
    assert isinstance(inner, MappingNode)
    last = inner.values[0]
    assert isinstance(last, ListNode)
    found: list[Node] = [node, node.keys[0], items, items.items[0], inner, last]
    found.append(last.items[2])
    assert [unpack_place(place.place)[1:] for place in found] == [
        (1, 1),
        (1, 1),
        (2, 3),
        (2, 5),
        (3, 5),
        (3, 8),
        (3, 15),
    ]


def test_a_column_beyond_a_million_is_told_as_the_last_one():
    node, _ = _compose(json.dumps(["a" * 2_000_000, "b"]))

    assert isinstance(node, ListNode)
    assert unpack_place(node.items[1].place) == (0, 1, 2**20)


def test_an_empty_text_is_nothing_at_its_beginning():
    node, _ = _compose("")

    assert isinstance(node, ScalarNode)
    assert node.value is None
    assert unpack_place(node.place) == (0, 1, 1)


def test_aliases_may_repeat_much_of_a_large_config():
    paths = "x-paths: &paths [{path: /, checks: [status-is: 200, body-contains: a]}]\n"
    websites = "".join(f"- {{domain: d{n}, paths: *paths}}\n" for n in range(2_000))

    found = _load(f"{paths}websites:\n{websites}")

    assert len(found["websites"]) == 2_000


def test_a_config_has_a_largest_size():
    tally = Tally()
    tally.total = yaml_source.MAX_NODES

    with pytest.raises(Refused, match="more than 50,000,000 values"):
        _compose("[]", tally=tally)
