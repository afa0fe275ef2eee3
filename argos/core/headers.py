"""The header fields of an answer, read when somebody asks for them.

Most checks never do, and reading them would cost as much as all else that is done with
an answer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import overload

HeaderField = tuple[str, str]
"""Name, in lower case, and value."""

_KNOWN_LINES = 1024
_USUAL_BYTES = 4096
"""Lines of longer blocks are not remembered, so that all of them take 8 MB at most."""


class HeaderFields(Sequence[HeaderField]):
    """The fields of one answer, in the order of arrival; equal to a tuple of them."""

    __slots__ = ("_fields", "_values", "block")

    def __init__(self, block: bytes) -> None:
        self.block = block
        """The lines as they came: the status line first, an empty line last."""
        self._fields: tuple[HeaderField, ...] | None = None
        self._values: dict[str, str] | None = None

    @property
    def values(self) -> Mapping[str, str]:
        """By name, in lower case; those of repeated names joined."""
        if self._values is None:
            self._values = join_fields(self.read())
        return self._values

    def read(self) -> tuple[HeaderField, ...]:
        """All fields; repeated names stay apart."""
        if self._fields is None:
            self._fields = _read(self.block)
        return self._fields

    @overload
    def __getitem__(self, index: int) -> HeaderField: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[HeaderField]: ...
    def __getitem__(self, index: int | slice) -> HeaderField | Sequence[HeaderField]:
        return self.read()[index]

    def __iter__(self) -> Iterator[HeaderField]:
        return iter(self.read())

    def __len__(self) -> int:
        return len(self.read())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, HeaderFields):
            other = other.read()
        return self.read() == other

    def __hash__(self) -> int:
        return hash(self.read())

    def __repr__(self) -> str:
        return repr(self.read())


def join_fields(fields: Iterable[HeaderField]) -> dict[str, str]:
    """The fields by name; the values of repeated names are joined by ", "."""
    fields = tuple(fields)
    values = dict(fields)
    if len(values) == len(fields):
        return values
    values.clear()
    for name, value in fields:
        values[name] = f"{values[name]}, {value}" if name in values else value
    return values


def _read(block: bytes) -> tuple[HeaderField, ...]:
    answer = _decode(block).replace("\r\n", "\n").removesuffix("\n\n")
    read = _read_known_line if len(block) <= _USUAL_BYTES else _read_line
    return tuple(map(read, answer.split("\n")[1:]))


def _read_line(line: str) -> HeaderField:
    # libcurl has joined folded lines, and refuses those without a colon.
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip(" \t")


# Websites say mostly what they, or others, have said before: that halves the work.
_read_known_line = lru_cache(maxsize=_KNOWN_LINES)(_read_line)


def _decode(lines: bytes) -> str:
    """As the web does it: UTF-8 if it is UTF-8, else ISO-8859-1, which always fits."""
    try:
        return lines.decode()
    except UnicodeDecodeError:
        return lines.decode("latin-1")
