"""Collecting the header lines of an answer, with caps, and reading them."""

from collections.abc import Sequence
from io import BytesIO

from argos.core.probe import MAX_HEADER_BYTES, MAX_HEADER_COUNT

# The status line and the empty line of one answer count too.
_MAX_LINES = MAX_HEADER_COUNT + 2

_TOO_MANY = f"The answer has more than {MAX_HEADER_COUNT} header fields."
_TOO_LONG = f"The headers are longer than {MAX_HEADER_BYTES // 1024} KiB."
_TOO_MANY_ANSWERS = (
    f"Interim (1xx) answers and the answer have more than {MAX_HEADER_COUNT} lines."
)


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

    def forget(self) -> None:
        """What came so far was a proxy's word, not the website's."""
        self._block.seek(0)
        self._block.truncate()

    @property
    def overflow(self) -> str | None:
        """Which cap was passed, as a sentence; None: none."""
        if self._block.tell() <= _MAX_LINES:
            return None
        block = self._block.getvalue()
        has_too_many = block.count(b"\n") > _MAX_LINES
        if has_too_many and _last_status_line(block) > 0:
            return _TOO_MANY_ANSWERS
        if len(block) > MAX_HEADER_BYTES:
            return _TOO_LONG
        return _TOO_MANY if has_too_many else None

    def headers(self) -> tuple[tuple[str, str], ...] | None:
        """The fields of the last answer, names lower-cased; None: they broke off."""
        block = self._block.getvalue()
        text = _decode(block[_last_status_line(block) :]).replace("\r\n", "\n")
        answer, end, _trailers = text.partition("\n\n")
        if not end:
            return None
        # libcurl has joined folded lines, and refuses those without a colon.
        fields = [line.partition(":") for line in answer.split("\n")[1:]]
        return tuple([
            (name.strip().lower(), value.strip(" \t")) for name, _, value in fields
        ])


def _last_status_line(block: bytes) -> int:
    """Where it begins; no field can look like it, for want of a colon."""
    return block.rfind(b"\nHTTP/") + 1


def describe_overflow(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The same caps, for whoever has the fields as a list."""
    if len(headers) > MAX_HEADER_COUNT:
        return _TOO_MANY
    size = sum(len(name) + len(value) + len(": \r\n") for name, value in headers)
    return _TOO_LONG if size > MAX_HEADER_BYTES else None


def _decode(lines: bytes) -> str:
    """As the web does it: UTF-8 if it is UTF-8, else ISO-8859-1, which always fits."""
    try:
        return lines.decode()
    except UnicodeDecodeError:
        return lines.decode("latin-1")
