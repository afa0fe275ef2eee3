"""Arrays as PostgreSQL reads them in binary, packed column by column.

The driver packs a list value by value in Python, which takes longer than all that
PostgreSQL does with a batch of results.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, repeat
from struct import Struct
from typing import Any

from argos.server.columns import to_epoch_us

_EPOCH_US = to_epoch_us(datetime(2000, 1, 1, tzinfo=UTC))
"""PostgreSQL counts microseconds from 2000 on."""
_HEADER = Struct("!iiIii")
_LENGTH = Struct("!i")
_NULL = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of elements: its numbers in PostgreSQL's catalogue, and how one is packed."""

    oid: int
    array_oid: int
    form: str
    """The element's format in `struct`; empty: bytes of any length."""
    encode: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class PackedArray:
    """An array, ready to be sent."""

    oid: int
    data: bytes


def _encode_moment(moment: datetime) -> int:
    return to_epoch_us(moment) - _EPOCH_US


_KINDS = {
    "bigint": Kind(20, 1016, "q"),
    "integer": Kind(23, 1007, "i"),
    "smallint": Kind(21, 1005, "h"),
    "double precision": Kind(701, 1022, "d"),
    "boolean": Kind(16, 1000, "?"),
    "timestamptz": Kind(1184, 1185, "q", _encode_moment),
    "bytea": Kind(17, 1001, ""),
}
_TEXT = Kind(25, 1009, "", str.encode)
"""What PostgreSQL makes enums and documents of, too."""
_NAMES = frozenset({"severity", "status", "event_kind", "text"})
"""Texts that repeat."""


def pack_array(kind: str, values: Sequence[Any]) -> PackedArray:
    """Pack values of a PostgreSQL type; those of types that are not known as texts."""
    known = _KINDS.get(kind, _TEXT)
    has_null = None in values
    header = _HEADER.pack(1, has_null, known.oid, len(values), 1)
    if not values:
        header = _HEADER.pack(0, 0, known.oid, 0, 0)[:12]
    if kind in _NAMES and not has_null:
        body = b"".join(map(_pack_name, values))
    elif has_null:
        body = _pack_with_nulls(known, values)
    else:
        encoded = map(known.encode, values) if known.encode else values
        body = _pack(known, encoded, len(values))
    return PackedArray(known.array_oid, header + body)


def _pack(kind: Kind, values: Any, count: int) -> bytes:
    if not kind.form:
        return b"".join(map(_prefix, values))
    element = Struct("!" + kind.form)
    flat = chain.from_iterable(zip(repeat(element.size, count), values, strict=True))
    return _row_struct(kind.form, count).pack(*flat)


def _pack_with_nulls(kind: Kind, values: Sequence[Any]) -> bytes:
    if values.count(None) == len(values):
        return _NULL * len(values)
    pack = _row_struct(kind.form, 1).pack if kind.form else None
    size = Struct("!" + kind.form).size
    parts = []
    for value in values:
        if value is None:
            parts.append(_NULL)
            continue
        encoded = kind.encode(value) if kind.encode else value
        if pack is not None:
            parts.append(pack(size, encoded))
        else:
            parts.append(_prefix(encoded))
    return b"".join(parts)


def _prefix(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


@lru_cache(maxsize=4096)
def _pack_name(value: str) -> bytes:
    return _prefix(value.encode())


@lru_cache(maxsize=4096)
def _row_struct(form: str, count: int) -> Struct:
    return Struct("!" + f"i{form}" * count)


def register_arrays(connection: Any) -> None:
    """Let a connection of psycopg send packed arrays."""
    from psycopg.adapt import Buffer, Dumper, PyFormat
    from psycopg.pq import Format

    class PackedArrayDumper(Dumper):
        """Sends the bytes as they are; one such for each type of arrays."""

        format = Format.BINARY

        def get_key(self, obj: PackedArray, format: PyFormat) -> Any:  # noqa: A002, ARG002  # the driver's names
            return (self.cls, obj.oid)

        def upgrade(self, obj: PackedArray, format: PyFormat) -> Dumper:  # noqa: A002, ARG002  # the driver's names
            dumper = PackedArrayDumper(self.cls)
            dumper.oid = obj.oid
            return dumper

        def dump(self, obj: PackedArray) -> Buffer:
            return obj.data

    connection.adapters.register_dumper(PackedArray, PackedArrayDumper)
