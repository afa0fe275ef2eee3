"""Websites that speak HTTP/2, as little of it as their answers need (RFC 9113, 7541)."""

import asyncio
import struct
from contextlib import suppress
from enum import IntEnum

from tests.agent.engine.servers import Behaviour

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Kind(IntEnum):
    """The kinds of frames."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


END_STREAM, END_HEADERS, ACK, PADDED = 1, 4, 1, 8
STATUS_200 = b"\x88"
"""By HPACK's static table."""


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """A frame; `payload` is not looked at."""
    head = struct.pack("!I", len(payload))[1:]
    return head + struct.pack("!BBI", kind, flags, stream) + payload


def field(name: bytes, value: bytes, *, is_kept: bool = False) -> bytes:
    """A header field in full; `is_kept`: for the dynamic table."""
    return (b"\x40" if is_kept else b"\x00") + _text(name) + _text(value)


def headers(*fields: bytes, flags: int = END_HEADERS, stream: int = 1) -> bytes:
    """A block of header fields."""
    return frame(Kind.HEADERS, flags, stream, b"".join(fields))


def data(payload: bytes, *, flags: int = 0) -> bytes:
    """A piece of the body."""
    return frame(Kind.DATA, flags, 1, payload)


ANSWER = headers(STATUS_200)
END = data(b"ok", flags=END_STREAM)


def _text(text: bytes) -> bytes:
    length, head = len(text), b""
    if length >= 127:
        head, length = b"\x7f", length - 127
        while length >= 128:
            head, length = head + bytes([length % 128 + 128]), length // 128
    return head + bytes([length]) + text


def speaking(*frames: bytes, endless: bytes = b"", then: str = "stall") -> Behaviour:
    """Send frames when a request has come, then others for ever; then "fin" or "stall"."""

    async def behave(reader, writer):
        assert await reader.readexactly(len(PREFACE)) == PREFACE
        writer.write(frame(Kind.SETTINGS) + frame(Kind.SETTINGS, ACK))
        while await _next_kind(reader) != Kind.HEADERS:
            pass
        # What the client goes on to say must not fill its way to us.
        reading = asyncio.create_task(_read_to_the_end(reader))
        try:
            for each in frames:
                writer.write(each)
                await writer.drain()
            while endless:
                writer.write(endless)
                await writer.drain()
                # Else a client that reads fast would keep us from all others.
                await asyncio.sleep(0.001)
            if then == "stall":
                await reading
        finally:
            reading.cancel()

    return behave


speak = speaking(ANSWER, END)
"""Answer the first request of a connection with "ok"."""


async def _next_kind(reader: asyncio.StreamReader) -> int:
    head = await reader.readexactly(9)
    await reader.readexactly(int.from_bytes(head[:3], "big"))
    return head[3]


async def _read_to_the_end(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        while await reader.read(65_536):
            pass
