"""Collecting the header lines of an answer, with caps, and reading them."""

from collections.abc import Sequence

from argos.core.probe import MAX_HEADER_BYTES, MAX_HEADER_COUNT

MAX_INTERIM_ANSWERS = 16
"""1xx answers before the real one; a website needs one or two."""


# The empty lines that end the answers count as fields; one is always there.
_MAX_LINES = MAX_HEADER_COUNT + 1

_TOO_MANY = f"The answer has more than {MAX_HEADER_COUNT} header fields."
_TOO_LONG = f"The headers are longer than {MAX_HEADER_BYTES // 1024} KiB."


class HeaderBlock:
    """The header lines of one probe: interim answers, the answer, and trailers.

    All of them count towards the caps, since each costs the same to take in.
    """

    __slots__ = ("_blocks", "_bytes", "_fields", "_lines", "is_complete", "overflow")

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._bytes = 0
        self._fields = 0
        self._blocks = 0
        self.overflow: str | None = None
        """Which cap was passed, as a sentence; None: none so far."""
        self.is_complete = False
        """The empty line after the answer's fields has come."""

    def take_in(self, line: bytes) -> int | None:
        """Take one line in (libcurl's callback: None goes on, 0 ends the transfer)."""
        self._bytes += len(line)
        if line[:5] == b"HTTP/":
            self._blocks += 1
            self._lines = [line]
            self.is_complete = False
        else:
            self._lines.append(line)
            self._fields += 1
            if len(line) <= 2:
                self.is_complete = True
        if (
            self._bytes <= MAX_HEADER_BYTES
            and self._fields <= _MAX_LINES
            and self._blocks <= MAX_INTERIM_ANSWERS + 1
        ):
            return None
        self.overflow = self._describe()
        return 0

    def _describe(self) -> str:
        if self._blocks > MAX_INTERIM_ANSWERS + 1:
            return f"There were more than {MAX_INTERIM_ANSWERS} interim (1xx) answers."
        return _TOO_MANY if self._fields > _MAX_LINES else _TOO_LONG

    @property
    def has_begun(self) -> bool:
        """Whether a status line has come."""
        return bool(self._lines)

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The fields of the last answer; names lower-cased."""
        fields = []
        for line in _decode(b"".join(self._lines[1:])).split("\n"):
            text = line.rstrip("\r")
            if not text:
                break
            # libcurl has joined folded lines, and refuses those without a colon.
            name, _, value = text.partition(":")
            fields.append((name.strip().lower(), value.strip(" \t")))
        return tuple(fields)


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
