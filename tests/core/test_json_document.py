import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from argos.core.json_document import (
    MAX_JSON_BYTES,
    MAX_JSON_DEPTH,
    excerpt,
    first_difference,
    read_json,
    resolve,
    to_json,
)
from argos.errors import UnreadableJSON

# A busy machine is no reason to fail.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b"1", 1),
        (b' {"a": [true, null, 1.5]} ', {"a": [True, None, 1.5]}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"\xef\xbb\xbf[]", []),
        ('"é"'.encode("utf-16"), "é"),
        ('"é"'.encode("utf-32-be"), "é"),
        (rb'"\ud800"', "\ud800"),
        (b"[" * MAX_JSON_DEPTH + b"]" * MAX_JSON_DEPTH, None),
        (b"12345678901234567890123", 12345678901234567890123),
    ],
)
def test_json_is_read(body, document):
    read = read_json(body)

    if document is not None:
        assert read == document


def test_numbers_of_any_length_keep_their_value():
    digits = "7" * 100_000

    document = read_json(f'{{"a": -{digits}, "b": 5}}'.encode())

    assert document == {"a": Decimal(f"-{digits}"), "b": 5}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "The answer is empty, not JSON."),
        (b" \r\n", "The answer is empty, not JSON."),
        (b"{", "The answer is not JSON: Expecting property name enclosed in double "),
        (b"1 2", "The answer is not JSON: Extra data: line 1 column 3 (char 2)."),
        (b"[NaN]", "The answer is not JSON: it holds NaN."),
        (b"-Infinity", "The answer is not JSON: it holds -Infinity."),
        (b'"\xff"', "The answer is not JSON: it is not in UTF-8."),
        (b"[" * 100_000, "The answer's JSON is nested deeper than 200 levels."),
        (
            b'{"a":' * (MAX_JSON_DEPTH + 1) + b"1" + b"}" * (MAX_JSON_DEPTH + 1),
            "The answer's JSON is nested deeper than 200 levels.",
        ),
        (
            b"[" * 201 + b"]" * 201,
            "The answer's JSON is nested deeper than 200 levels.",
        ),
        (b"1" * (MAX_JSON_BYTES + 1), "The answer is longer than 4194304 bytes."),
        (b"[" + b"1" * 5000, "The answer is not JSON: Expecting ',' delimiter"),
        (b"[" * 5000 + b"1" * 5000, "The answer's JSON is nested deeper than 200 leve"),
    ],
)
def test_what_is_not_json_or_too_much_is_refused(body, reason):
    with pytest.raises(UnreadableJSON) as caught:
        read_json(body)

    assert str(caught.value).startswith(reason)


@patient
@given(st.binary())
def test_reading_garbage_gives_a_value_or_the_one_error(body):
    try:
        read_json(body)
    except UnreadableJSON:
        return


RFC_6901 = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", RFC_6901),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_pointers_of_the_standard_lead_where_it_says(pointer, value):
    assert resolve(RFC_6901, pointer) == value


@pytest.mark.parametrize(
    "pointer",
    [
        "foo",
        "#/foo",
        "/foo/2",
        "/foo/-",
        "/foo/-1",
        "/foo/01",
        "/foo/+1",
        "/foo/1.0",
        "/foo/",
        "/foo/\u0660",
        "/foo/" + "9" * 18,
        "/foo/" + "9" * 5000,
        "/foo/0/0",
        "/a~1b/x",
        "/m~n",
        "/m~2n",
        "/bar",
        "//",
    ],
)
def test_pointers_to_nothing(pointer):
    with pytest.raises(LookupError):
        resolve(RFC_6901, pointer)


@pytest.mark.parametrize(
    ("expected", "found", "place"),
    [
        (1, 1, None),
        (1, 1.0, None),
        (2**60, float(2**60), None),
        (10**30, Decimal(10**30), None),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, None),
        ([], [], None),
        (True, True, None),
        (None, None, None),
        (1, True, ""),
        (0, False, ""),
        (False, None, ""),
        ("1", 1, ""),
        ([], {}, ""),
        ([1], [True], "/0"),
        ([1, 2], [1], "/1"),
        ([1], [1, None], "/1"),
        ({"a": None}, {}, "/a"),
        ({}, {"a~/": None}, "/a~0~1"),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, "/a/0/b"),
        (float("nan"), float("nan"), ""),
    ],
    ids=repr,
)
def test_the_first_difference_is_found(expected, found, place):
    assert first_difference(expected, found) == place


@patient
@given(values)
def test_a_document_does_not_differ_from_itself(value):
    assert first_difference(value, json.loads(json.dumps(value))) is None


@patient
@given(values, values)
def test_a_difference_is_where_it_is_said_to_be(expected, found):
    place = first_difference(expected, found)

    assert (place is None) == (first_difference(found, expected) is None)
    if place:
        sides = []
        for document in (expected, found):
            try:
                sides.append([resolve(document, place)])
            except LookupError:
                sides.append([])
        assert any(sides)
        assert first_difference(sides[0], sides[1]) is not None


@pytest.mark.parametrize(
    ("value", "limit", "shown"),
    [
        ("short", 7, "short"),
        ("short", 6, '"short…'),
        ([1, 2, 3], 9, [1, 2, 3]),
        ([1, 2, 3], 4, "[1, …"),
        ("é", 3, "é"),
        (10**9, 4, "1000…"),
        (None, 3, "nul…"),
    ],
    ids=repr,
)
def test_an_excerpt_is_the_value_or_its_beginning(value, limit, shown):
    assert excerpt(value, limit) == shown


def test_an_excerpt_of_a_long_number_is_its_beginning():
    assert excerpt(Decimal("7" * 9000), 5) == '"7777…'


def test_json_for_people_is_not_escaped_more_than_it_must():
    assert to_json({"é": [1, None, Decimal(5)]}) == '{"é": [1, null, "5"]}'
