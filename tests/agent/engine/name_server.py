"""A name server on loopback, for the behaviours that matter."""

import asyncio
import ipaddress
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

A, AAAA = 1, 28
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3

# The start of authority of the root, good for an hour.
_AUTHORITY = (
    b"\0"
    + struct.pack("!HHIH", 6, 1, 3600, 22)
    + b"\0\0"
    + struct.pack("!5I", *[3600] * 5)
)


@dataclass(frozen=True)
class Zone:
    """What is answered for one name."""

    addresses: tuple[str, ...] = ()
    code: int = NO_ERROR
    ttl: int = 60
    is_silent: bool = False
    forge: Callable[[bytes], bytes] | None = None
    """Makes something else of the answer before it is sent."""


class NameServer(asyncio.DatagramProtocol):
    """Knows the names in `zones`; what it is asked is counted in `asked`."""

    port = 0

    def __init__(self) -> None:
        self.zones: dict[str, Zone] = {}
        self.asked: Counter[str] = Counter()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport):
        self._transport = transport

    def datagram_received(self, data, addr):
        name, kind, end = _read_question(data)
        self.asked[name] += 1
        zone = self.zones.get(name, Zone(code=NO_SUCH_NAME))
        if zone.is_silent:
            return
        records = [
            record
            for text in zone.addresses
            if (record := _record(text, kind, zone.ttl)) is not None
        ]
        # Without one of these, nobody may remember that a name does not exist.
        authority = [] if records else [_AUTHORITY]
        counts = (1, len(records), len(authority), 0)
        head = struct.pack("!2s5H", data[:2], 0x8180 | zone.code, *counts)
        answer = head + data[12:end] + b"".join(records + authority)
        if zone.forge is not None:
            answer = zone.forge(answer)
        assert self._transport is not None
        self._transport.sendto(answer, addr)


def _read_question(data: bytes) -> tuple[str, int, int]:
    labels, position = [], 12
    while data[position]:
        length = data[position]
        labels.append(data[position + 1 : position + 1 + length].decode())
        position += 1 + length
    kind, _ = struct.unpack_from("!2H", data, position + 1)
    return ".".join(labels).lower(), kind, position + 5


def _record(text: str, kind: int, ttl: int) -> bytes | None:
    address = ipaddress.ip_address(text)
    if kind != (A if address.version == 4 else AAAA):
        return None
    packed = address.packed
    return struct.pack("!HHHIH", 0xC00C, kind, 1, ttl, len(packed)) + packed
