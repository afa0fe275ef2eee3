"""A leaf certificate as libcurl tells of it, and why it was not accepted.

libcurl gives the whole chain, as text fields, even when the handshake failed because of
it; so one handshake is enough for both the answer and the inspection.
"""

import binascii
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from argos.agent.engine.der import (
    MAX_CERTIFICATES,
    DerError,
    RawFields,
    read_fields,
    read_key,
)
from argos.core.probe import Certificate, ChainCertificate
from argos.core.text import cut, visible

MAX_NAMES = 100
"""Subject alternative names that are kept; some certificates have thousands."""
MAX_NAME_LENGTH = 256

_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)

HAS_EXPIRED = 10
NOT_YET_VALID = 9
# OpenSSL's verification codes (x509_vfy.h).
_FAULTS = {
    18: "self-signed",
    19: "signed by an unknown authority",
    20: "signed by an unknown authority, or an intermediate certificate is missing",
    21: "signed by an unknown authority, or an intermediate certificate is missing",
    7: "not signed by who it says",
    22: "at the end of too long a chain",
    23: "revoked",
    24: "signed by a certificate that is not an authority's",
    25: "at the end of too long a chain",
    26: "not meant for websites",
    28: "not meant for websites",
    32: "signed by a certificate that is not an authority's",
    34: "with a critical extension that is not understood",
    47: "for a host that its authority must not vouch for",
    48: "for a host that its authority must not vouch for",
    62: "for another host",
    63: "for another host",
    64: "for another host",
    66: "of too small a key",
    67: "signed with too small a key",
    68: "signed with too weak a digest",
    79: "signed by a certificate that is not an authority's",
}


def read_chain(chain: Sequence[RawFields]) -> Certificate | None:
    """The facts of a leaf and of those above it; None when its dates make no sense."""
    leaf = read_certificate(chain[0]) if chain else None
    if leaf is None or len(chain) == 1:
        return leaf
    links = [read_link(tuple(fields)) for fields in chain[1:MAX_CERTIFICATES]]
    return replace(leaf, chain=tuple(link for link in links if link is not None))


@lru_cache(maxsize=512)
def read_link(fields: tuple[tuple[bytes, bytes], ...]) -> ChainCertificate | None:
    """The facts of a certificate above the leaf; thousands of websites share a few."""
    certificate = read_certificate(list(fields))
    if certificate is None:
        return None
    return ChainCertificate(
        not_after=certificate.not_after,
        subject=certificate.subject,
        issuer=certificate.issuer,
        key=certificate.key,
    )


def read_tapped(ders: Sequence[bytes]) -> Certificate | None:
    """The same of what was overheard: nobody has verified it."""
    try:
        leaf = read_chain([
            [*read_fields(der), (b"Key", read_key(der).encode())] for der in ders
        ])
    except DerError:
        return None
    return leaf and replace(leaf, is_verified=False)


def read_certificate(fields: RawFields) -> Certificate | None:
    """The facts of a leaf certificate; None when its dates make no sense."""
    values = {name.lower(): value for name, value in fields}
    not_before = _read_date(values.get(b"start date", b""))
    not_after = _read_date(values.get(b"expire date", b""))
    if not_before is None or not_after is None:
        return None
    return Certificate(
        not_before=not_before,
        not_after=not_after,
        subject=_text(values.get(b"subject", b"")),
        issuer=_text(values.get(b"issuer", b"")),
        names=tuple(_names(values.get(b"x509v3 subject alternative name", b""))),
        key=_key(values),
        signature=_text(values.get(b"signature algorithm", b"")),
    )


def _key(values: dict[bytes, bytes]) -> str:
    """Kind and size of the key; libcurl does not tell the size of all kinds."""
    if b"key" in values:
        return _text(values[b"key"])
    lines = values.get(b"cert", b"").split(b"\n")
    try:
        # Between the lines that begin and end it.
        return read_key(binascii.a2b_base64(b"".join(lines[1:-2])))
    except binascii.Error:
        return ""


def describe_fault(
    code: int, certificate: Certificate | None, *, host: str, now: datetime
) -> str:
    """Why a certificate was not accepted, in a few words such as "self-signed".

    `code` is OpenSSL's. The dates are looked at whatever it says, since OpenSSL stops
    at the first fault and an expired date is the one that users can mend.
    """
    date_faults = list(_date_faults(certificate, now))
    if code in {HAS_EXPIRED, NOT_YET_VALID}:
        # The code may mean any certificate of the chain; the leaf's dates follow.
        faults = [] if date_faults else [_date_fault(code, certificate)]
    elif code in _FAULTS:
        faults = [_FAULTS[code]]
    elif code > 1:
        faults = [f"faulty (OpenSSL's code {code})"]
    else:
        faults = [_wrong_host(certificate, host)]
    return " and ".join(faults + date_faults)


def fault_code(code: int, certificate: Certificate, now: datetime) -> int:
    """OpenSSL's code; that of the dates when it was given none, as for a wrong name."""
    if code:
        return code
    if certificate.not_after < now:
        return HAS_EXPIRED
    return NOT_YET_VALID if certificate.not_before > now else 0


def _date_fault(code: int, certificate: Certificate | None) -> str:
    state = "expired" if code == HAS_EXPIRED else "not valid yet"
    if certificate is None:
        return state
    return f"signed by an authority whose own certificate is {state}"


def _wrong_host(certificate: Certificate | None, host: str) -> str:
    if certificate is None or not certificate.names:
        return f"not for {host}"
    if host in certificate.names:
        # A browser looks for an address among the addresses alone.
        return f"for {host} as a name, not as an address"
    names = ", ".join(certificate.names[:3])
    more = len(certificate.names) - 3
    return f"for {names}{f' and {more} more' if more > 0 else ''}, not for {host}"


def _date_faults(certificate: Certificate | None, now: datetime) -> Iterator[str]:
    if certificate is None:
        return
    if certificate.not_after < now:
        yield f"expired {_span(now - certificate.not_after)} ago"
    if certificate.not_before > now:
        yield f"not valid for another {_span(certificate.not_before - now)}"


def _span(age: timedelta) -> str:
    if age.days == 0:
        return "less than a day"
    return "1 day" if age.days == 1 else f"{age.days} days"


def _read_date(raw: bytes) -> datetime | None:
    """OpenSSL's "Nov 23 18:18:00 2026 GMT".

    Not `strptime`: that reads month names in the language of the machine.
    """
    try:
        month, day, time, year, _zone = raw.decode("ascii").split()
        hour, minute, second = time.split(":")
        return datetime(
            int(year),
            _MONTHS.index(month) + 1,
            int(day),
            int(hour),
            int(minute),
            min(int(float(second)), 59),
            tzinfo=UTC,
        )
    except (ValueError, UnicodeDecodeError):
        return None


def _names(raw: bytes) -> Iterator[str]:
    """DNS names and addresses; other kinds of names say nothing of a website."""
    count = 0
    for part in raw.split(b", "):
        kind, _, name = part.partition(b":")
        if kind not in {b"DNS", b"IP Address"}:
            continue
        yield _text(name)
        count += 1
        if count == MAX_NAMES:
            return


def _text(raw: bytes) -> str:
    return cut(visible(raw.decode("utf-8", "replace")), MAX_NAME_LENGTH)
