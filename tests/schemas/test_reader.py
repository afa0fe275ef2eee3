"""Small parts of reading that a whole config shows badly."""

import gc

import pytest
from pydantic_core import ErrorDetails

from argos.schemas.node import ListNode, MappingNode, Node, ScalarNode
from argos.schemas.reader import locate
from argos.schemas.reading import Notes
from argos.schemas.wording import describe, did_you_mean, show
from argos.server.settings import read_config
from tests.config.texts import ENVIRON, HEAD, write

LEAF = ScalarNode("leaf", 3)
INNER = ListNode([LEAF], 2)
ROOT = MappingNode([ScalarNode("a", 1)], [INNER], 0)


@pytest.mark.parametrize(
    ("path", "node"),
    [
        ((), ROOT),
        (("a",), INNER),
        (("a", 0), LEAF),
        (("b",), ROOT),
        (("a", "b"), INNER),
        (("a", 0, "b"), LEAF),
    ],
)
def test_the_nearest_value_is_found(path: tuple[int | str, ...], node: Node):
    assert locate(ROOT, path) is node


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "nothing"),
        (True, "yes"),
        (False, "no"),
        (1.5, "1.5"),
        ("a\nb", "'a\\nb'"),
        ("x" * 61, f"'{'x' * 60}'…"),
        ([1], "a list"),
        ({1: 2}, "a mapping"),
        ("https://u:p@e.org/@", "'https://…@e.org/@'"),
    ],
)
def test_a_value_is_shown_on_one_line_without_passwords(value, shown):
    assert show(value) == shown


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("domian", "; did you mean `domain`?"),
        ("DOMAIN", "; did you mean `domain`?"),
        ("get", "; did you mean `GET`?"),
        ("colour", ""),
        ("", ""),
    ],
)
def test_the_nearest_word_is_named_whatever_its_case(word, hint):
    assert did_you_mean(word, ["domain", "paths", "GET"]) == hint


def test_an_error_without_words_of_ours_keeps_those_of_the_library():
    details = ErrorDetails(
        type="new_error", loc=("a",), msg="It is new", input="secret"
    )

    assert describe(details) == "cannot be used: It is new"


def test_a_note_is_made_once_and_counted_beyond_the_limit():
    notes = Notes(limit=2)

    for place, message in [(1, "a"), (0, "b"), (1, "a"), (2, "c"), (3, "d?")]:
        notes.add(place, message)

    assert [fault.message for fault in notes.listed(["f"])] == ["B.", "A."]
    assert (notes.count, notes.hidden) == (4, 2)


@pytest.mark.parametrize("is_enabled", [True, False])
def test_reading_leaves_the_garbage_collector_as_it_was(tmp_path, is_enabled):
    path = write(tmp_path, config=f"{HEAD}websites: []\n")
    was_enabled = gc.isenabled()
    (gc.enable if is_enabled else gc.disable)()
    try:
        read_config(path, environ=ENVIRON)
        assert gc.isenabled() is is_enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()
