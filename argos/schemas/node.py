"""A config file as read: plain values, each with the place where the user wrote it.

A fleet's config has millions of nodes, so that they are bare classes with slots, and a
place is one number.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any, TypeAlias

ScalarValue: TypeAlias = str | int | float | bool | date | None

_COLUMN_BITS = 20
_LINE_BITS = 32
_MAX_COLUMN = (1 << _COLUMN_BITS) - 1
_MAX_LINE = (1 << _LINE_BITS) - 1
MAX_DEPTH = 50
TOO_DEEP = f"must not nest more than {MAX_DEPTH} levels deep"


def pack_place(file: int, line: int, column: int) -> int:
    """One number for a file's index, and line and column from 0; orders as they do."""
    if column > _MAX_COLUMN:
        column = _MAX_COLUMN
    return file << _LINE_BITS + _COLUMN_BITS | line << _COLUMN_BITS | column


def unpack_place(place: int) -> tuple[int, int, int]:
    """File index, and line and column from 1."""
    return (
        place >> _LINE_BITS + _COLUMN_BITS,
        (place >> _COLUMN_BITS & _MAX_LINE) + 1,
        (place & _MAX_COLUMN) + 1,
    )


class ScalarNode:
    """A text, number, truth value, date or nothing."""

    __slots__ = ("place", "value")

    def __init__(self, value: ScalarValue, place: int) -> None:
        self.value = value
        self.place = place


class ListNode:
    """A list."""

    __slots__ = ("items", "place")

    def __init__(self, items: list["Node"], place: int) -> None:
        self.items = items
        self.place = place


class MappingNode:
    """A mapping; the keys are unique, in the order that Python's dict gives them."""

    __slots__ = ("keys", "place", "values")

    def __init__(
        self, keys: list[ScalarNode], values: list["Node"], place: int
    ) -> None:
        self.keys = keys
        self.values = values
        self.place = place

    def pairs(self) -> Iterator[tuple[ScalarNode, "Node"]]:
        return zip(self.keys, self.values, strict=True)

    def get(self, name: int | str) -> "Node | None":
        """The value of a key."""
        for key, value in self.pairs():
            if key.value == name:
                return value
        return None


class BrokenNode:
    """What could not be read; its fault has been noted."""

    __slots__ = ("place",)

    def __init__(self, place: int) -> None:
        self.place = place


Node: TypeAlias = ScalarNode | ListNode | MappingNode | BrokenNode


class Refused(Exception):  # noqa: N818  # not an error that leaves the reading
    """A value cannot be used; without a message when its faults have been noted."""

    def __init__(
        self, node: Node, message: str | None = None, *, subject: str | None = None
    ) -> None:
        super().__init__(message)
        self.node = node
        self.message = message
        self.subject = subject
        """What the message says it of; None: the value's name; "": a whole sentence."""


def plain(node: Node, depth: int = 0) -> Any:
    """The Python value of a node and all under it.

    Raises Refused on what nests too deeply, as aliases make it possible.
    """
    if isinstance(node, ScalarNode):
        return node.value
    if depth == MAX_DEPTH:
        raise Refused(node, TOO_DEEP)
    if isinstance(node, ListNode):
        return [plain(item, depth + 1) for item in node.items]
    if isinstance(node, MappingNode):
        return {key.value: plain(value, depth + 1) for key, value in node.pairs()}
    raise Refused(node)
