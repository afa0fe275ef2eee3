"""Header lines: what is kept of them, and how many are taken in."""

import pytest

from argos.agent.engine.header import (
    HeaderBlock,
    describe_overflow,
    find_fields,
    find_overflow,
)
from argos.core.probe import MAX_HEADER_BYTES, MAX_HEADER_COUNT

STATUS = b"HTTP/1.1 200 OK\r\n"
END = b"\r\n"


def block_of(*lines: bytes) -> HeaderBlock:
    block = HeaderBlock()
    for line in lines:
        assert block.take_in(line) == len(line)
    return block


def fields_of(block: HeaderBlock):
    fields = find_fields(block.lines)
    return None if fields is None else fields.read()


def test_names_are_lowered_values_trimmed_and_repeats_stay_apart():
    block = block_of(
        STATUS, b"X-A:  b \r\n", b"Set-Cookie: a\r\n", b"set-cookie:b\r\n", END
    )

    assert fields_of(block) == (("x-a", "b"), ("set-cookie", "a"), ("set-cookie", "b"))


def test_only_the_last_answer_counts_and_trailers_do_not():
    block = block_of(
        b"HTTP/1.1 103 Early Hints\r\n",
        b"Link: x\r\n",
        END,
        STATUS,
        b"A: 1\r\n",
        END,
        b"Trailer: 2\r\n",
    )

    assert fields_of(block) == (("a", "1"),)


def test_field_with_the_name_of_a_status_line_hides_no_other():
    block = block_of(
        *(b"HTTP/1.1 103 X\r\n", END, STATUS),
        *(b"A: 1\r\n", b"HTTP/1.1 500 No: 2\r\n", END),
    )

    assert fields_of(block) == (("a", "1"), ("http/1.1 500 no", "2"))


def test_answer_may_have_no_fields():
    assert fields_of(block_of(STATUS, END)) == ()


def test_answer_without_its_empty_line_is_not_complete():
    block = block_of(b"HTTP/1.1 103 X\r\n", END, STATUS, b"A: 1\r\n")

    assert fields_of(block) is None


def test_nothing_has_begun_before_the_first_line():
    assert not HeaderBlock().has_begun
    assert block_of(STATUS).has_begun


def test_as_many_fields_as_allowed_are_taken_in():
    block = block_of(STATUS, *[b"A: 1\r\n"] * MAX_HEADER_COUNT, END)

    assert find_overflow(block.lines) is None
    assert fields_of(block) == ((("a", "1"),) * MAX_HEADER_COUNT)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([STATUS, *[b"A: 1\r\n"] * (MAX_HEADER_COUNT + 1), END], "200 header fields"),
        ([STATUS, b"A: " + b"x" * MAX_HEADER_BYTES], "64 KiB"),
        ([STATUS, END, *[b"A: 1\r\n"] * (MAX_HEADER_COUNT + 1)], "200 header fields"),
        ([b"HTTP/1.1 103 X\r\n", END] * MAX_HEADER_COUNT, "Interim"),
    ],
    ids=["fields", "bytes", "trailers", "interim answers"],
)
def test_cap_that_is_passed_is_told_in_a_sentence(lines, says):
    block = block_of(*lines)

    assert says in (find_overflow(block.lines) or "")


@pytest.mark.parametrize(
    ("fields", "is_too_much"),
    [
        ([(b"a", b"b")] * MAX_HEADER_COUNT, False),
        ([(b"a", b"b")] * (MAX_HEADER_COUNT + 1), True),
        ([(b"a", b"b" * MAX_HEADER_BYTES)], True),
    ],
)
def test_same_caps_hold_for_a_list_of_fields(fields, is_too_much):
    assert bool(describe_overflow(fields)) is is_too_much
