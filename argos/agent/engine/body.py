"""Decoding bodies with a cap on what comes out.

Both engines take the bytes as they came and decode them here: at most `limit` bytes
are ever made, so that a gzip bomb costs what an ordinary page costs. An unknown
encoding leaves the body as it came, as browsers do.
"""

import zlib
from collections.abc import Iterable

from argos.core.headers import HeaderField

MAX_ENCODINGS = 2
MAX_RATIO = 100
"""What decoding may make of a byte; what is beyond is cut off, as behind the cap."""
FREE_BYTES = 64 * 1024
"""Small bodies may be as repetitive as they like."""

ACCEPT_ENCODING = "gzip, deflate"
"""What we can decode with the standard library; the same as 0.10.3 asked for."""

_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})
_MAX_MEMBERS = 64


class BodyError(ValueError):
    """The body is not what its Content-Encoding says."""


def encodings_of(headers: Iterable[HeaderField]) -> list[str]:
    """The encodings in the order in which they were applied; "identity" left out."""
    names = [
        part.strip().lower()
        for name, value in headers
        if name == "content-encoding"
        for part in value.split(",")
    ]
    return [name for name in names if name not in {"", "identity"}]


def decode_body(raw: bytes, encodings: list[str], limit: int) -> tuple[bytes, bool]:
    """The decoded body, and whether it was cut at `limit` bytes.

    Raises BodyError when the bytes are not so encoded, or encoded more than twice.
    """
    if len(encodings) > MAX_ENCODINGS:
        raise BodyError(
            f"The body has {len(encodings)} encodings, one around the other;"
            f" at most {MAX_ENCODINGS} are undone."
        )
    if not raw or not _KNOWN.issuperset(encodings):
        encodings = []
    if encodings:
        limit = min(limit, max(FREE_BYTES, MAX_RATIO * len(raw)))
    is_cut = False
    for encoding in reversed(encodings):
        # One byte more than the limit tells a body that just fits from a cut one.
        raw, lacks_members = _decode_one(raw, encoding, limit + 1)
        is_cut = is_cut or lacks_members or len(raw) > limit
    is_cut = is_cut or len(raw) > limit
    return raw[:limit], is_cut


def _decode_one(raw: bytes, encoding: str, limit: int) -> tuple[bytes, bool]:
    """What one encoding held, and whether members of it were left out."""
    try:
        if encoding != "deflate":
            return _gunzip(raw, limit)
        # "deflate" means zlib's format; some servers send the bare stream instead.
        try:
            return zlib.decompressobj(_ZLIB).decompress(raw, limit), False
        except zlib.error:
            return zlib.decompressobj(_RAW).decompress(raw, limit), False
    except zlib.error as err:
        raise BodyError(
            f'The body is not encoded with "{encoding}", as its headers say.'
        ) from err


def _gunzip(raw: bytes, limit: int) -> tuple[bytes, bool]:
    """The members of a gzip file, one after the other; what follows them is ignored.

    True beside them: there are more of them than anybody sends, and the last are missing.
    """
    decoder = zlib.decompressobj(_GZIP)
    decoded = decoder.decompress(raw, limit)
    for _ in range(_MAX_MEMBERS):
        if not _has_next(decoder) or len(decoded) >= limit:
            return decoded, False
        rest, decoder = decoder.unused_data, zlib.decompressobj(_GZIP)
        try:
            decoded += decoder.decompress(rest, limit - len(decoded))
        except zlib.error:
            return decoded, False
    return decoded, _has_next(decoder)


def _has_next(decoder: "zlib._Decompress") -> bool:
    return decoder.unused_data.startswith(b"\x1f\x8b")
