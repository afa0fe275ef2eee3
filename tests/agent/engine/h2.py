"""A website that speaks HTTP/2, as little of it as one answer needs (RFC 9113)."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_STATUS_200 = b"\x88"
"""By HPACK's static table."""


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    head = struct.pack("!I", len(payload))[1:] + struct.pack(
        "!BBI", kind, flags, stream
    )
    return head + payload


async def speak(reader, writer):
    """Answer the first request of a connection with "ok"."""
    assert await reader.readexactly(len(PREFACE)) == PREFACE
    writer.write(_frame(_SETTINGS, 0, 0))
    while True:
        head = await reader.readexactly(9)
        await reader.readexactly(int.from_bytes(head[:3], "big"))
        kind, flags = head[3], head[4]
        if kind == _SETTINGS and not flags & _ACK:
            writer.write(_frame(_SETTINGS, _ACK, 0))
        if kind == _HEADERS:
            writer.write(_frame(_HEADERS, _END_HEADERS, 1, _STATUS_200))
            writer.write(_frame(_DATA, _END_STREAM, 1, b"ok"))
        await writer.drain()
