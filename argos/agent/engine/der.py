"""Reading certificates as they go over the wire (DER), as far as we need it.

Only for those of which libcurl does not tell: of a handshake that broke off, and the
sizes of keys. Bounded: nothing is followed but the fields of RFC 5280 in their order.
"""

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_address

RawFields = list[tuple[bytes, bytes]]
"""One certificate, in libcurl's names and spellings."""

MAX_CERTIFICATES = 16
_MAX_NAMES = 200

_SEQUENCE, _SET, _OID, _UTC_TIME, _GENERAL_TIME = 0x30, 0x31, 0x06, 0x17, 0x18
_EXTENSIONS, _VERSION = 0xA3, 0xA0
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_BMP_STRING = 0x1E

_SUBJECT_ALTERNATIVE_NAME = "2.5.29.17"
_ATTRIBUTES = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
}
_RSA, _EC = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1"
_CURVES = {
    "1.2.840.10045.3.1.7": "P-256",
    "1.3.132.0.34": "P-384",
    "1.3.132.0.35": "P-521",
    "1.3.132.0.10": "secp256k1",
}
_OTHER_KEYS = {
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
    "1.2.840.10040.4.1": "DSA",
}
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


class DerError(ValueError):
    """This is no certificate."""


class _Reader:
    """Values of tag, length and content, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_over(self) -> bool:
        return self._at >= len(self._data)

    def peek(self) -> int:
        return -1 if self.is_over else self._data[self._at]

    def take(self, *tags: int) -> bytes:
        """The content of the next value, which must have one of these tags, if any."""
        tag, start, end = self._next()
        if tags and tag not in tags:
            raise DerError(f"tag {tag:#x} is out of place")
        self._at = end
        return self._data[start:end]

    def take_tagged(self) -> tuple[int, bytes]:
        """The next value with its tag."""
        tag, start, end = self._next()
        self._at = end
        return tag, self._data[start:end]

    def _next(self) -> tuple[int, int, int]:
        data, at = self._data, self._at
        try:
            tag, length = data[at], data[at + 1]
        except IndexError as err:
            raise DerError("it ends too early") from err
        at += 2
        if length & 0x80:
            count = length & 0x7F
            if not 0 < count <= 4:
                raise DerError("a length is of no use")
            length = int.from_bytes(data[at : at + count], "big")
            at += count
        if at + length > len(data):
            raise DerError("it ends too early")
        return tag, at, at + length


def read_fields(der: bytes) -> RawFields:
    """A certificate's fields, as libcurl gives them. Raises DerError."""
    body = _Reader(_Reader(_Reader(der).take(_SEQUENCE)).take(_SEQUENCE))
    if body.peek() == _VERSION:
        body.take()
    body.take()  # serial number
    body.take(_SEQUENCE)  # signature algorithm
    issuer = _read_name(body.take(_SEQUENCE))
    validity = _Reader(body.take(_SEQUENCE))
    start, end = (_read_time(*validity.take_tagged()) for _ in range(2))
    subject = _read_name(body.take(_SEQUENCE))
    body.take(_SEQUENCE)  # public key
    names = b", ".join(_alternative_names(body))
    return [
        (b"Subject", subject),
        (b"Issuer", issuer),
        (b"Start date", start),
        (b"Expire date", end),
        (b"X509v3 Subject Alternative Name", names),
    ]


@lru_cache(maxsize=512)
def read_key(der: bytes) -> str:
    """Kind and size of a certificate's key; "" where that cannot be told."""
    try:
        body = _Reader(_Reader(_Reader(der).take(_SEQUENCE)).take(_SEQUENCE))
        if body.peek() == _VERSION:
            body.take()
        for _ in range(5):  # up to the subject
            body.take()
        return _describe_key(_Reader(body.take(_SEQUENCE)))
    except DerError:
        return ""


def split_message(message: bytes) -> list[bytes]:
    """The certificates in TLS's handshake message of that name, the leaf first."""
    data = message[4:]  # kind and length
    # TLS 1.3 puts a context before the list, empty from a server, and extensions
    # behind each certificate.
    is_newer = data[:1] == b"\0" and int.from_bytes(data[1:4], "big") == len(data) - 4
    at = 4 if is_newer else 3
    found: list[bytes] = []
    while at + 3 < len(data) and len(found) < MAX_CERTIFICATES:
        length = int.from_bytes(data[at : at + 3], "big")
        found.append(data[at + 3 : at + 3 + length])
        at += 3 + length
        if is_newer:
            at += 2 + int.from_bytes(data[at : at + 2], "big")
    return found


def _describe_key(info: _Reader) -> str:
    algorithm = _Reader(info.take(_SEQUENCE))
    kind = _read_oid(algorithm.take(_OID))
    if kind == _RSA:
        bits = info.take()[1:]  # after the count of unused ones
        modulus = _Reader(_Reader(bits).take(_SEQUENCE)).take()
        return f"RSA {int.from_bytes(modulus, 'big').bit_length()}"
    if kind == _EC:
        curve = _read_oid(algorithm.take(_OID))
        return f"EC {_CURVES.get(curve, curve)}"
    return _OTHER_KEYS.get(kind, kind)


def _read_name(data: bytes) -> bytes:
    parts = []
    sets = _Reader(data)
    while not sets.is_over:
        pairs = _Reader(sets.take(_SET))
        while not pairs.is_over:
            pair = _Reader(pairs.take(_SEQUENCE))
            oid = _read_oid(pair.take(_OID))
            tag, value = pair.take_tagged()
            if tag == _BMP_STRING:
                value = value.decode("utf-16-be", "replace").encode()
            parts.append(_ATTRIBUTES.get(oid, oid).encode() + b" = " + value)
    return b", ".join(parts)


def _read_time(tag: int, value: bytes) -> bytes:
    """As libcurl writes it: "Nov 23 18:18:00 2026 GMT"."""
    if tag == _UTC_TIME:
        # RFC 5280: a year of two digits lies between 1950 and 2049.
        value = (b"19" if value[:1] >= b"5" else b"20") + value
    elif tag != _GENERAL_TIME:
        raise DerError("a date is none")
    digits = value[:14].decode("ascii", "replace")
    if len(digits) != 14 or not digits.isdecimal() or not 1 <= int(digits[4:6]) <= 12:
        raise DerError("a date is none")
    month = _MONTHS[int(digits[4:6]) - 1]
    time = f"{digits[8:10]}:{digits[10:12]}:{digits[12:14]}"
    return f"{month} {int(digits[6:8])} {time} {digits[:4]} GMT".encode()


def _alternative_names(body: _Reader) -> Iterator[bytes]:
    while not body.is_over and body.peek() != _EXTENSIONS:
        body.take()
    if body.is_over:
        return
    extensions = _Reader(_Reader(body.take(_EXTENSIONS)).take(_SEQUENCE))
    while not extensions.is_over:
        extension = _Reader(extensions.take(_SEQUENCE))
        if _read_oid(extension.take(_OID)) == _SUBJECT_ALTERNATIVE_NAME:
            while extension.peek() != 0x04:  # whether it is critical
                extension.take()
            yield from _names_in(_Reader(_Reader(extension.take(0x04)).take(_SEQUENCE)))


def _names_in(names: _Reader) -> Iterator[bytes]:
    count = 0
    while not names.is_over and count < _MAX_NAMES:
        tag, value = names.take_tagged()
        if tag == _DNS_NAME:
            yield b"DNS:" + value
        elif tag == _IP_ADDRESS and len(value) in {4, 16}:
            yield b"IP Address:" + str(ip_address(value)).encode()
        count += 1


def _read_oid(data: bytes) -> str:
    if not data or len(data) > 32:
        raise DerError("an identifier is of no use")
    parts = [min(data[0] // 40, 2)]
    parts.append(data[0] - 40 * parts[0])
    value = 0
    for byte in data[1:]:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            parts.append(value)
            value = 0
    return ".".join(map(str, parts))
