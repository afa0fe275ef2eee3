"""What is asked of a target, and what came back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from argos.core.headers import HeaderField
from argos.core.options import NO_OPTIONS, ProbeOptions

DEFAULT_TIMEOUT = timedelta(seconds=30)
MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_HEADER_COUNT = 200
MAX_TIMING_ERROR_US = 10_000
TIMING_ERROR_PARTS = 20
"""A time may be wrong by `MAX_TIMING_ERROR_US`, or by a 20th of itself if that is more."""


def is_time_trustworthy(total_us: int | None, timing_error_us: int | None) -> bool:
    """Whether a time says more of the website than of how busy the agent was.

    Statistics of times leave the others out. A time that was not taken is none.
    """
    if total_us is None:
        return False
    error_us = timing_error_us or 0
    is_wide = error_us > MAX_TIMING_ERROR_US
    return not (is_wide and error_us * TIMING_ERROR_PARTS > total_us)


class IPVersion(StrEnum):
    """The IP family that a probe uses."""

    V4 = "4"
    V6 = "6"


@dataclass(frozen=True, slots=True)
class Probe:
    """One request to one target over one IP version."""

    url: str
    method: str = "GET"
    ip_version: IPVersion = IPVersion.V4
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: timedelta = DEFAULT_TIMEOUT
    """The total deadline: names, connection, TLS, headers and body together."""
    max_body_bytes: int = MAX_BODY_BYTES
    """Decoded bytes; a longer body is cut and marked."""
    wants_certificate: bool = True
    wants_handshake: bool = False
    """Version and cipher of TLS, and the certificate of a handshake that breaks off."""
    options: ProbeOptions = NO_OPTIONS


# Several of these are made for every probe, twice: a dataclass would take ten times as
# long.
class Timings(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How long each phase of a probe took, in microseconds; None: it did not happen."""

    dns_us: int | None = None
    connect_us: int | None = None
    tls_us: int | None = None
    first_byte_us: int | None = None
    """From the request sent to the first byte of the answer."""
    transfer_us: int | None = None
    total_us: int | None = None
    timing_error_us: int = 0
    """The longest stall of the measuring loop while the probe was under way."""

    @property
    def is_trustworthy(self) -> bool:
        """Whether the times may enter statistics."""
        return is_time_trustworthy(self.total_us, self.timing_error_us)


@dataclass(frozen=True, slots=True)
class ChainCertificate:
    """What a certificate above the leaf says of itself."""

    not_after: datetime
    subject: str
    issuer: str
    key: str = ""
    """Kind and size, such as "RSA 2048" or "EC P-256"."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server's leaf certificate says of itself, in one handshake."""

    not_before: datetime
    not_after: datetime
    subject: str
    issuer: str
    names: tuple[str, ...] = ()
    """Subject alternative names."""
    fault: str | None = None
    """Why it was not accepted (expired, wrong host, untrusted …); None: accepted."""
    fault_code: int = 0
    """OpenSSL's verification code; 0 when accepted or when only the name differs."""
    is_verified: bool = True
    """Whether the handshake came so far that it was accepted, or not."""
    key: str = ""
    """Kind and size, such as "RSA 2048" or "EC P-256"."""
    signature: str = ""
    """The algorithm by which its issuer signed it."""
    chain: tuple[ChainCertificate, ...] = ()
    """The others that the server sent, and the root where it was found."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a website and we agreed upon."""

    protocol: str
    """Such as "TLSv1.3"."""
    cipher: str


class FailureKind(StrEnum):
    """Why a probe brought no usable answer."""

    DNS = "dns"
    """The name could not be resolved, or has no address of the IP version."""
    CONNECT = "connect"
    """Refused, unreachable or reset before anything was sent."""
    TLS = "tls"
    """The handshake failed for another reason than the certificate."""
    CERTIFICATE = "certificate"
    """The certificate is expired, for another host, or not trusted."""
    TIMEOUT = "timeout"
    """The total deadline passed."""
    PROTOCOL = "protocol"
    """What came was not HTTP, or broke off."""
    TOO_LARGE = "too-large"
    """Headers or body passed a cap before the answer could be used."""
    REDIRECT = "redirect"
    """Redirects led in a circle, on and on, or where we do not go."""
    REFUSED = "refused"
    """Our own rules forbid this target: scheme, address or port."""
    INTERNAL = "internal"
    """Our own trouble; says nothing of the target."""


@dataclass(frozen=True, slots=True)
class Details:
    """What most probes have nothing to say of."""

    addresses: tuple[str, ...] = ()
    """Those of the name, where it has several."""
    hops: tuple[str, ...] = ()
    """The URLs to which redirects led; the last one answered, or did not."""
    handshake: Handshake | None = None
    by_address: "tuple[Outcome, ...]" = ()
    """Where every address was probed: what came of each."""


NO_DETAILS = Details()


class ProbeResponse(msgspec.Struct, frozen=True):
    """A target answered: status, headers, body, timings and certificate."""

    status_code: int
    headers: Sequence[HeaderField] = ()
    """In the order of arrival, names lower-cased; repeated names stay apart."""
    body: bytes = b""
    body_is_cut: bool = False
    """The body was longer than the cap; what is here is its beginning."""
    timings: Timings = Timings()
    certificate: Certificate | None = None
    remote_address: str | None = None
    http_version: str | None = None
    """"1.0", "1.1", "2" or "3"."""
    details: Details = NO_DETAILS


class ProbeFailure(msgspec.Struct, frozen=True):
    """A target gave no usable answer."""

    kind: FailureKind
    message: str
    """One sentence for the user, without control characters."""
    timings: Timings = Timings()
    certificate: Certificate | None = None
    """There even when the handshake failed because of it."""
    remote_address: str | None = None
    details: Details = NO_DETAILS


Outcome = ProbeResponse | ProbeFailure
