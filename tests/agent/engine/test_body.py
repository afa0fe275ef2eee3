"""Decoding never makes more bytes than asked for."""

import gzip
import zlib

import pytest

from argos.agent.engine.body import (
    FREE_BYTES,
    MAX_RATIO,
    BodyError,
    decode_body,
    encodings_of,
)

TEXT = b"abc" * 100


def test_body_that_just_fits_is_not_cut():
    assert decode_body(gzip.compress(TEXT), ["gzip"], 300) == (TEXT, False)


def test_body_of_one_byte_more_is_cut():
    assert decode_body(gzip.compress(TEXT), ["gzip"], 299) == (TEXT[:299], True)


def test_plain_body_is_cut_too():
    assert decode_body(TEXT, [], 10) == (TEXT[:10], True)


def test_encodings_are_undone_from_the_last_to_the_first():
    raw = zlib.compress(gzip.compress(TEXT))

    assert decode_body(raw, ["gzip", "deflate"], 1000) == (TEXT, False)


def test_body_cut_between_two_encodings_is_marked():
    raw = gzip.compress(gzip.compress(bytes(range(256)) * 40))

    body, is_cut = decode_body(raw, ["gzip", "gzip"], 100)

    assert is_cut
    assert len(body) <= 100


def test_more_gzip_members_than_anybody_sends_are_left_out():
    raw = gzip.compress(b"x") * 100_000

    body, is_cut = decode_body(raw, ["gzip"], 1_000_000)

    assert is_cut
    assert set(body) == {ord("x")}
    assert len(body) < 100


def test_one_unknown_encoding_leaves_the_body_as_it_came():
    raw = gzip.compress(TEXT)

    assert decode_body(raw, ["br", "gzip"], 1000) == (raw, False)


def test_broken_member_after_a_good_one_is_ignored():
    raw = gzip.compress(TEXT) + b"\x1f\x8b\x08\xff\xff"

    assert decode_body(raw, ["gzip"], 1000) == (TEXT, False)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_body_that_is_not_so_encoded_is_an_error(encoding):
    with pytest.raises(BodyError, match=f'"{encoding}"'):
        decode_body(b"\xff" * 50, [encoding], 100)


def test_third_encoding_is_an_error_even_for_no_body():
    with pytest.raises(BodyError, match="3 encodings"):
        decode_body(b"", ["gzip"] * 3, 100)


@pytest.mark.parametrize(
    ("values", "encodings"),
    [
        ([], []),
        (["gzip"], ["gzip"]),
        ([" GZip ,deflate"], ["gzip", "deflate"]),
        (["identity"], []),
        (["gzip", "br"], ["gzip", "br"]),
        ([",,"], []),
    ],
)
def test_encodings_are_read_from_all_headers_in_order(values, encodings):
    headers = tuple(("content-encoding", value) for value in values)

    assert encodings_of((("server", "x"), *headers)) == encodings


def test_s61_a_byte_becomes_no_more_than_a_hundred():
    small, large = bytes(FREE_BYTES), bytes(10 * FREE_BYTES)

    assert decode_body(gzip.compress(small), ["gzip"], 10**7) == (small, False)
    raw = gzip.compress(large)
    assert len(raw) * MAX_RATIO < len(large)
    body, is_cut = decode_body(raw, ["gzip"], 10**7)
    assert is_cut
    assert len(body) == max(FREE_BYTES, MAX_RATIO * len(raw))
    assert decode_body(large, [], 10**7) == (large, False)
