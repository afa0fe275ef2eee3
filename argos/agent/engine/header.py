"""Collecting the header lines of an answer, with caps, and reading them."""

from collections.abc import Sequence

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

    All of them count towards the caps, since each costs the same to take in.
    """

    __slots__ = ("_lines", "_size", "overflow")

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._size = 0
        self.overflow: str | None = None
        """Which cap was passed, as a sentence; None: none so far."""

    def take_in(self, line: bytes) -> int | None:
        """Take one line in (libcurl's callback: None goes on, 0 ends the transfer)."""
        self._lines.append(line)
        self._size += len(line)
        if self._size <= MAX_HEADER_BYTES and len(self._lines) <= _MAX_LINES:
            return None
        if self._size > MAX_HEADER_BYTES:
            self.overflow = _TOO_LONG
        else:
            self.overflow = _TOO_MANY_ANSWERS if self._has_interim() else _TOO_MANY
        return 0

    @property
    def has_begun(self) -> bool:
        """Whether a status line has come."""
        return bool(self._lines)

    @property
    def is_complete(self) -> bool:
        """Whether the empty line after the last answer's fields has come."""
        lines = self._last_answer()
        return b"\r\n" in lines or b"\n" in lines

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The fields of the last answer; names lower-cased."""
        # The first line end is for an answer that has no fields at all.
        text = "\n" + _decode(b"".join(self._last_answer())).replace("\r\n", "\n")
        lines = text.partition("\n\n")[0].split("\n")[1:]
        # libcurl has joined folded lines, and refuses those without a colon.
        fields = [line.partition(":") for line in lines]
        return tuple([
            (name.strip().lower(), value.strip(" \t")) for name, _, value in fields
        ])

    def _last_answer(self) -> list[bytes]:
        """What follows the last status line."""
        for index in range(len(self._lines) - 1, -1, -1):
            if self._lines[index].startswith(b"HTTP/"):
                return self._lines[index + 1 :]
        return []

    def _has_interim(self) -> bool:
        return sum(line.startswith(b"HTTP/") for line in self._lines) > 1


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
