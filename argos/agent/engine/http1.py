"""Reading an HTTP/1 answer, by whatever pieces it comes in; pure.

As tolerant as libcurl, and no more: a website has the same outcome whichever of the two
makes the probe. Most answers have a head without oddities, which is recognised at a
glance; the others are read line by line.
"""

import re
from collections.abc import Callable

from argos.agent.engine.chunked import MAX_SIZE, Chunks
from argos.agent.engine.failure import AnswerError, CurlCode
from argos.agent.engine.header import MAX_LINES, TOO_LONG, TOO_MANY
from argos.core.probe import MAX_HEADER_BYTES

PIECES_AT_ONCE = 256
_MAX_FOLDS = 1000
_SURELY_FEW = 3 * MAX_LINES
"""Bytes of a head that needs no counting: no field is shorter than `a:` and its end."""
_MAX_DIGITS = len(str(MAX_SIZE))

# Possessive, so that no head takes longer than one look at each of its bytes.
_match_usual_head = re.compile(
    rb"HTTP/1\.([01])[ \t]([2-9][0-9][0-9])[^\r\n\0]*+\r?+\n"
    rb"(?:[^ \t:\r\n\0][^:\r\n\0]*+:[^\r\n\0]*+\r?+\n)*+\r?+\n"
).match
_find_decisive = re.compile(
    rb"\n(content-length|transfer-encoding|location):([^\r\n]*+)", re.IGNORECASE
).finditer
_match_status_line = re.compile(rb"HTTP/1\.([01])[ \t]([0-9]{3})").match
_match_later_version = re.compile(rb"HTTP/([23])[ \t][0-9]{3}[ \t]").match
_match_length = re.compile(rb"[ \t]*([0-9]+)[ \t]*").match
# Without what is no ASCII at its end.
_match_name = re.compile(rb"[ \t]*((?:.*[!-\x7f])?)", re.DOTALL).match
_find_odd_char = re.compile(rb"\0|\r(?!\n)").search
_is_prefix = b"HTTP/".startswith

_WEIRD = CurlCode.WEIRD_SERVER_REPLY
_WITHOUT_BODY = frozenset({204, 304})
_FIRST_STATUS = 100
_FIRST_FINAL_STATUS = 200
_SWITCHING = 101


_Step = Callable[["AnswerReader", bytes], list[bytes]]


class AnswerReader:
    """Takes an answer in as it comes, gives the pieces of its body out."""

    # Defaults of the class, not slots: most answers never change most of them.
    status = 0
    version = 0
    """10 or 11, once there is a status."""
    is_complete = False
    has_more = False
    """It holds bytes that the next call would make something of."""
    _rest = b""
    _head: bytes | bytearray = b""
    _head_begin = 0
    """Where the present answer begins among interim ones."""
    _line_count = 0
    _location = b""
    _missing = -1
    """Bytes of the body that have not come; -1: nobody knows."""
    _chunks: Chunks | None = None
    _fault: AnswerError | None = None

    def __init__(self, *, is_head_asked_for: bool = False) -> None:
        self._is_head_asked_for = is_head_asked_for
        # No bound method: who holds one of its own is freed late.
        self._read: _Step = AnswerReader._read_head

    @property
    def lines(self) -> bytes:
        """The header lines: interim answers, the answer, trailers."""
        trailers = b"".join(self._chunks.trailers) if self._chunks else b""
        return bytes(self._head) + trailers

    @property
    def usual_head(self) -> bytes:
        """The lines, if they are those of the answer and of nothing else; or nothing."""
        head = self._head
        return head if self._chunks is None and isinstance(head, bytes) else b""

    @property
    def has_begun(self) -> bool:
        """Whether a whole line has come."""
        return bool(self._head)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes in; the pieces of the body among them, at most PIECES_AT_ONCE.

        While `has_more`, call again with nothing. Raises AnswerError, once all pieces
        before the fault have been given out.
        """
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault
        if self._rest:
            data, self._rest = self._rest + data, b""
        return self._read(self, data)

    def end(self) -> None:
        """The connection was closed. Raises AnswerError if something is missing.

        Not where the head broke off: `lines` show that.
        """
        if self.is_complete:
            return
        if len(self._head) == self._head_begin:
            is_cut_line = self._rest.endswith(b"\r")
            text = (
                "Invalid response header" if is_cut_line else "Empty reply from server"
            )
            raise AnswerError(CurlCode.GOT_NOTHING, text)
        if self._read is AnswerReader._read_head:
            if self._missing > 0 and not self._is_head_asked_for:
                text = f"transfer closed with {self._missing} bytes remaining to read"
                raise AnswerError(CurlCode.PARTIAL_FILE, text)
        elif self._chunks is not None:
            text = "transfer closed with outstanding read data remaining"
            raise AnswerError(CurlCode.PARTIAL_FILE, text)
        elif self._missing > 0:
            text = f"end of response with {self._missing} bytes missing"
            raise AnswerError(CurlCode.PARTIAL_FILE, text)

    def _read_head(self, data: bytes) -> list[bytes]:
        usual = None if self._head else _match_usual_head(data)
        begin = usual.end() if usual else 0
        if usual is None or (begin > _SURELY_FEW and _is_beyond_caps(data, begin)):
            return self._read_lines(data)
        self._head = data[:begin]
        self.version = 10 if usual[1] == b"0" else 11
        self.status = int(usual[2])
        for field in _find_decisive(self._head):
            try:
                self._note_field(field[1].lower(), field[2])
            except AnswerError:
                # The fields before it have come, those behind it have not.
                self._head = data[: field.start() + 1]
                raise
        return self._begin_body(data, begin)

    def _read_lines(self, data: bytes) -> list[bytes]:
        begin = 0
        self._head = bytearray(self._head)
        while True:
            line, end = self._next_line(data, begin)
            if line is None:
                break
            begin = end
            if self._take_line(line):
                return self._begin_body(data, begin)
        self._rest = data[begin:]
        return []

    def _next_line(self, data: bytes, begin: int) -> tuple[bytes | None, int]:
        """The next line, made one if it is folded, and where it ends; None: not yet."""
        end = data.find(b"\n", begin) + 1
        is_first = len(self._head) == self._head_begin
        if is_first:
            self._check_prefix(data[begin : end or None])
        self._check_size((end or len(data)) - begin)
        if not end:
            return None, begin
        line = data[begin:end]
        if is_first or line[:1] in b"\r\n":
            return line, end
        return self._unfold(line, data, begin)

    def _unfold(self, line: bytes, data: bytes, begin: int) -> tuple[bytes | None, int]:
        """The same for a header, which goes on if the next line begins with a blank."""
        end = begin + len(line)
        for _ in range(_MAX_FOLDS):
            if end == len(data):
                return None, begin
            if data[end : end + 1] not in {b" ", b"\t"}:
                return line, end
            fold, end = end, data.find(b"\n", end) + 1
            self._check_size((end or len(data)) - begin)
            if not end:
                return None, begin
            line = line.removesuffix(b"\n").removesuffix(b"\r").rstrip(b" \t")
            line += b" " + data[fold:end].lstrip(b" \t")
        raise AnswerError(CurlCode.TOO_LARGE, TOO_MANY)

    def _check_size(self, more: int) -> None:
        if len(self._head) + more > MAX_HEADER_BYTES:
            raise AnswerError(CurlCode.TOO_LARGE, TOO_LONG)

    def _check_prefix(self, line: bytes) -> None:
        if _is_prefix(line[:5].upper()):
            return
        if self._head:
            raise AnswerError(_WEIRD, "Invalid status line")
        text = "Received HTTP/0.9 when not allowed"
        raise AnswerError(CurlCode.UNSUPPORTED_PROTOCOL, text)

    def _take_line(self, line: bytes) -> bool:
        """Make something of a line; whether it was the last before a body."""
        assert isinstance(self._head, bytearray)
        is_first = len(self._head) == self._head_begin
        if not is_first and line[:1] in b"\r\n":
            self._head += line
            self._count_line()
            return self._end_head()
        if is_first:
            self._read_status_line(line)
        odd = _find_odd_char(line)
        if odd is not None:
            what = "NUL byte in" if odd[0] == b"\0" else "Carriage return found in"
            raise AnswerError(_WEIRD, f"{what} header")
        if not is_first:
            name, colon, value = line.partition(b":")
            if not colon:
                raise AnswerError(_WEIRD, "Header without colon")
            self._note_field(name.lower(), value.rstrip(b"\r\n"))
        self._head += line
        self._count_line()
        return False

    def _count_line(self) -> None:
        self._line_count += 1
        if self._line_count > MAX_LINES:
            raise AnswerError(CurlCode.TOO_LARGE, TOO_MANY)

    def _end_head(self) -> bool:
        """An empty line has come: whether the answer is a final one."""
        if self.status < _FIRST_STATUS:
            text = "Unsupported response code in HTTP response"
            raise AnswerError(CurlCode.UNSUPPORTED_PROTOCOL, text)
        if self.status >= _FIRST_FINAL_STATUS:
            return True
        self._head_begin = len(self._head)
        # Nobody has asked for another protocol: what follows is taken for a body.
        return self.status == _SWITCHING

    def _read_status_line(self, line: bytes) -> None:
        found = _match_status_line(line)
        if found is not None:
            self.version = 10 if found[1] == b"0" else 11
            self.status = int(found[2])
            return
        if line.startswith(b"HTTP/1"):
            text = "Unsupported HTTP/1 subversion in response"
            raise AnswerError(CurlCode.UNSUPPORTED_PROTOCOL, text)
        if line.startswith(b"HTTP/") and line[5:6] not in {b"2", b"3"}:
            text = "Unsupported HTTP version in response"
            raise AnswerError(CurlCode.UNSUPPORTED_PROTOCOL, text)
        later = _match_later_version(line)
        if later is not None:
            text = f"Version mismatch (from HTTP/1 to HTTP/{later[1].decode()})"
            raise AnswerError(_WEIRD, text)
        # What is no version that anybody knows is taken for a success.
        self.version = 10
        self.status = 200

    def _note_field(self, name: bytes, value: bytes) -> None:
        """Learn how the body ends, and see to contradictions. `name` is in lower case."""
        if name == b"location":
            self._note_location(value.strip(b" \t"))
            return
        is_interim = _FIRST_STATUS <= self.status < _FIRST_FINAL_STATUS
        if is_interim or self.status in _WITHOUT_BODY:
            return
        if name == b"content-length":
            self._missing = _read_length(value, self._missing)
        elif name == b"transfer-encoding" and not self._is_head_asked_for:
            is_chunked = _is_chunked(value)
            if is_chunked and self._chunks is None:
                self._chunks = Chunks()

    def _note_location(self, location: bytes) -> None:
        if location and self._location not in {b"", location}:
            raise AnswerError(_WEIRD, "Multiple Location headers")
        self._location = location or self._location

    def _begin_body(self, data: bytes, begin: int) -> list[bytes]:
        is_without = self._is_head_asked_for or self.status in _WITHOUT_BODY
        if self._chunks is not None:
            self._missing = -1
            self._read = AnswerReader._read_chunks
        elif is_without or self._missing == 0:
            self._missing = 0
            self.is_complete = True
            return []
        else:
            is_known = self._missing > 0
            self._read = (
                AnswerReader._read_length if is_known else AnswerReader._read_all
            )
        return self._read(self, data[begin:])

    def _read_all(self, data: bytes) -> list[bytes]:
        if not data:
            return []
        # An answer that switches protocols was none until it had a body.
        self._head_begin = 0
        return [data]

    def _read_length(self, data: bytes) -> list[bytes]:
        if not data:
            return []
        missing = self._missing
        if len(data) >= missing:
            self._missing = 0
            self.is_complete = True
            return [data if len(data) == missing else data[:missing]]
        self._missing = missing - len(data)
        return [data]

    def _read_chunks(self, data: bytes) -> list[bytes]:
        assert self._chunks is not None
        pieces: list[bytes] = []
        try:
            self._chunks.read(data, pieces, PIECES_AT_ONCE)
        except AnswerError as err:
            if not pieces:
                raise
            # Without its traceback, which leads back to us.
            self._fault = err.with_traceback(None)
            self.has_more = True
            return pieces
        self.is_complete = self._chunks.is_complete
        self._rest = self._chunks.rest
        self.has_more = bool(self._rest) and not self.is_complete
        return pieces


def _is_beyond_caps(data: bytes, end: int) -> bool:
    return end > MAX_HEADER_BYTES or data.count(b"\n", 0, end) > MAX_LINES


def _read_length(value: bytes, known: int) -> int:
    """What Content-Length says; several times the same, or in a list, is fine."""
    sole = value.strip(b" \t")
    if known == -1 and sole.isdigit() and len(sole) < _MAX_DIGITS:
        return int(sole)
    position = 0
    while True:
        found = _match_length(value, position)
        if found is None:
            raise AnswerError(_WEIRD, "Invalid Content-Length: value")
        digits = found[1].lstrip(b"0") or b"0"
        if len(digits) > _MAX_DIGITS or int(digits) > MAX_SIZE:
            return known  # beyond all numbers: as good as none
        if known not in {-1, int(digits)}:
            raise AnswerError(_WEIRD, "Invalid Content-Length: value")
        known = int(digits)
        position = found.end()
        if position == len(value):
            return known
        if value[position : position + 1] != b",":
            raise AnswerError(_WEIRD, "Invalid Content-Length: value")
        position += 1


def _is_chunked(value: bytes) -> bool:
    """Whether Transfer-Encoding says so. Raises AnswerError for another encoding."""
    is_chunked = False
    for part in value.split(b","):
        found = _match_name(part)
        assert found is not None  # it may be empty
        name = found[1].decode("utf-8", "surrogateescape")
        if name.lower() == "chunked":
            is_chunked = True
        elif name and is_chunked:
            text = f"A Transfer-Encoding ({name}) was listed after chunked"
            raise AnswerError(CurlCode.BAD_CONTENT_ENCODING, text)
        elif name and name.lower() != "identity":
            text = f"Unsolicited Transfer-Encoding ({name}) found"
            raise AnswerError(CurlCode.BAD_CONTENT_ENCODING, text)
    return is_chunked
