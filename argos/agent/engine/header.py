"""Collecting the header lines of an answer, with caps."""

import re
from collections.abc import Sequence
from io import BytesIO

from argos.core.headers import HeaderFields
from argos.core.probe import MAX_HEADER_BYTES, MAX_HEADER_COUNT

# The status line and the empty line of one answer count too.
MAX_LINES = MAX_HEADER_COUNT + 2

TOO_MANY = f"The answer has more than {MAX_HEADER_COUNT} header fields."
TOO_LONG = f"The headers are longer than {MAX_HEADER_BYTES // 1024} KiB."
_TOO_MANY_ANSWERS = (
    f"Interim (1xx) answers and the answer have more than {MAX_HEADER_COUNT} lines."
)
_find_end = re.compile(rb"\n\r?\n").search


class HeaderBlock:
    """The header lines of one probe: interim answers, the answer, and trailers.

    All of them count towards the caps, since each costs the same to take in. Here they
    are only looked at in the end; until then libcurl's own cap of 300 KiB holds.
    """

    __slots__ = ("_block", "take_in")

    def __init__(self) -> None:
        self._block = BytesIO()
        self.take_in = self._block.write
        """Takes one line in (libcurl's callback): no line costs a call of Python."""

    @property
    def has_begun(self) -> bool:
        """Whether a status line has come."""
        return self._block.tell() > 0

    @property
    def is_whole(self) -> bool:
        """Whether the last line ends a block, so that nothing has broken off."""
        return self.lines.endswith((b"\n\r\n", b"\n\n"))

    def forget(self) -> None:
        """What came so far was a proxy's word, not the website's."""
        self._block.seek(0)
        self._block.truncate()

    @property
    def lines(self) -> bytes:
        """What came, as it came."""
        return self._block.getvalue()


def find_overflow(lines: bytes) -> str | None:
    """Which cap was passed by all that came, as a sentence; None: none."""
    has_too_many = lines.count(b"\n") > MAX_LINES
    if has_too_many and _last_status_line(lines) > 0:
        return _TOO_MANY_ANSWERS
    if len(lines) > MAX_HEADER_BYTES:
        return TOO_LONG
    return TOO_MANY if has_too_many else None


def find_fields(lines: bytes) -> HeaderFields | None:
    """The fields of the last answer, without trailers; None: they broke off."""
    begin = _last_status_line(lines)
    end = _find_end(lines, begin)
    return HeaderFields(lines[begin : end.end()]) if end else None


def _last_status_line(lines: bytes) -> int:
    """Where it begins: a field may be named like it, but follows no empty line."""
    begin = lines.rfind(b"\nHTTP/") + 1
    while begin and not lines.endswith((b"\n\r\n", b"\n\n"), 0, begin):
        begin = lines.rfind(b"\nHTTP/", 0, begin) + 1
    return begin


def describe_overflow(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The same caps, for whoever has the fields as a list."""
    if len(headers) > MAX_HEADER_COUNT:
        return TOO_MANY
    size = sum(len(name) + len(value) + len(": \r\n") for name, value in headers)
    return TOO_LONG if size > MAX_HEADER_BYTES else None
