"""Undoing the chunked transfer encoding, piece by piece; pure.

As tolerant as libcurl, and no more: the two ways of making a probe must agree.
"""

import re
from enum import Enum, auto

from argos.agent.engine.failure import AnswerError, CurlCode
from argos.agent.engine.header import MAX_LINES

MAX_SIZE_DIGITS = 17
MAX_SIZE = 2**63 - 1
MAX_TRAILER = 4096
"""Bytes of one trailer, its end included."""

_digits = re.compile(rb"[0-9a-fA-F]*").match
_returns = re.compile(rb"\r*").match
_up_to_end = re.compile(rb"[^\r\n]*").match


class _State(Enum):
    SIZE = auto()
    EXTENSION = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILERS = auto()
    """At the beginning of a line: the empty one ends everything."""
    TRAILER = auto()
    """Within a line that is not empty."""
    TRAILER_END = auto()
    """Its line feed is due."""
    LAST = auto()
    """The last line feed is due."""
    OVER = auto()


class Chunks:
    """Reads chunks. One read makes only so many pieces; `rest` is what it left."""

    __slots__ = (
        "_digits",
        "_missing",
        "_state",
        "_trailer",
        "rest",
        "trailers",
    )

    def __init__(self) -> None:
        self.rest = b""
        self.trailers: list[bytes] = []
        """Their lines, as they came but for the end."""
        self._digits = b""
        self._missing = 0
        self._state = _State.SIZE
        self._trailer = b""

    @property
    def is_complete(self) -> bool:
        return self._state is _State.OVER

    def read(self, data: bytes, pieces: list[bytes], limit: int) -> None:
        """Add up to `limit` pieces of the body to those.

        Raises AnswerError; the pieces before it count all the same.
        """
        position, end = 0, len(data)
        while position < end and len(pieces) < limit:
            match self._state:
                case _State.DATA:
                    piece = data[position : position + self._missing]
                    pieces.append(piece)
                    position += len(piece)
                    self._missing -= len(piece)
                    if not self._missing:
                        self._state = _State.DATA_END
                case _State.DATA_END:
                    position = self._read_data_end(data, position)
                case _State.SIZE:
                    position = self._read_size(data, position)
                case _State.EXTENSION:
                    position = self._skip_extension(data, position)
                case _State.OVER:
                    break
                case _:
                    position = self._read_trailers(data, position)
        self.rest = data[position:]

    def _read_size(self, data: bytes, position: int) -> int:
        found = _digits(data, position)
        assert found is not None  # it may be empty
        self._digits += found[0][: MAX_SIZE_DIGITS + 1]
        if len(self._digits) > MAX_SIZE_DIGITS:
            raise _broken(f"chunk hex-length longer than {MAX_SIZE_DIGITS}")
        position = found.end()
        if position == len(data):
            return position
        if not self._digits:
            raise _broken(f"chunk hex-length char not a hex digit: {data[position]:#x}")
        self._missing = int(self._digits, 16)
        if self._missing > MAX_SIZE:
            raise _broken(f"invalid chunk size: '{self._digits.decode()}'")
        self._digits = b""
        self._state = _State.EXTENSION
        return position

    def _skip_extension(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position)
        if end < 0:
            return len(data)
        self._state = _State.DATA if self._missing else _State.TRAILERS
        return end + 1

    def _read_data_end(self, data: bytes, position: int) -> int:
        found = _returns(data, position)
        assert found is not None  # it may be empty
        position = found.end()
        if position == len(data):
            return position
        if data[position : position + 1] != b"\n":
            raise _broken("Malformed encoding found in chunked-encoding")
        self._state = _State.SIZE
        return position + 1

    def _read_trailers(self, data: bytes, position: int) -> int:
        char = data[position : position + 1]
        if self._state is _State.TRAILERS:
            if char == b"\r":
                self._state = _State.LAST
                return position + 1
            self._state = _State.LAST if char == b"\n" else _State.TRAILER
            return position
        if self._state is _State.TRAILER:
            return self._read_trailer(data, position)
        if char != b"\n":
            raise _broken("Malformed encoding found in chunked-encoding")
        is_last = self._state is _State.LAST
        self._state = _State.OVER if is_last else _State.TRAILERS
        return position + 1

    def _read_trailer(self, data: bytes, position: int) -> int:
        found = _up_to_end(data, position)
        assert found is not None  # it may be empty
        self._trailer += found[0]
        if len(self._trailer) + len(b"\r\n") >= MAX_TRAILER:
            raise AnswerError(CurlCode.TOO_LARGE, "a trailer is too long")
        position = found.end()
        if position == len(data):
            return position
        if b"\0" in self._trailer:
            raise AnswerError(CurlCode.WEIRD_SERVER_REPLY, "NUL byte in header")
        if b":" not in self._trailer:
            raise AnswerError(CurlCode.WEIRD_SERVER_REPLY, "Header without colon")
        self.trailers.append(self._trailer + b"\r\n")
        self._trailer = b""
        if len(self.trailers) > MAX_LINES:
            raise AnswerError(CurlCode.TOO_LARGE, "too many trailers")
        self._state = _State.TRAILER_END
        is_return = data[position : position + 1] == b"\r"
        return position + 1 if is_return else position


def _broken(text: str) -> AnswerError:
    return AnswerError(CurlCode.RECV_ERROR, text)
