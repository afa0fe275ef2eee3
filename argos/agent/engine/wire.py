"""What an agent and its probe workers say to each other.

Frames of a four-byte length and a `marshal` of plain tuples. Marshal, because both
ends are always the same interpreter, it carries bytes, and it is the fastest there is;
not pickle, because a worker reads hostile answers with C code, and whoever takes it
over must not be able to make the agent run what he likes.
"""

import marshal
import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from msgspec.structs import astuple

from argos.agent.engine.address import Policy
from argos.agent.engine.interface import EngineSettings
from argos.core.headers import HeaderFields
from argos.core.options import (
    NO_OPTIONS,
    ClientCertificate,
    HTTPVersion,
    ProbeOptions,
    TLSVersion,
)
from argos.core.probe import (
    NO_DETAILS,
    Certificate,
    ChainCertificate,
    Details,
    FailureKind,
    Handshake,
    IPVersion,
    Outcome,
    Probe,
    ProbeFailure,
    ProbeResponse,
    Timings,
)

_LENGTH = struct.Struct("!I")
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_KNOWN_CERTIFICATES = 1024

Item = tuple[Any, ...]

READY = 0
"""What a worker says first; after that, outcomes: no run has this number."""
QUEUE = -1
"""Then how long probes wait for their turn, in seconds, when that has changed."""

# What an agent says begins with one of these, after its settings.
RUN = 0
"""Then a number for this run, until its outcome, and the key of its probe."""
CANCEL = 1
"""Then the number of a run."""
LEARN = 2
"""Then a key and the probe (`probe_to_item`)."""
FORGET = 3
"""Then a key."""


def pack(items: Iterable[Item]) -> bytes:
    """One frame."""
    payload = marshal.dumps(list(items))
    return _LENGTH.pack(len(payload)) + payload


class FrameReader:
    """Takes bytes in as they come, gives whole frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Item]:
        """The items of all frames that are complete now."""
        self._buffer += data
        items: list[Item] = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            # Written by ourselves, on the other end of a socket pair.
            items += marshal.loads(self._buffer[_LENGTH.size : end])  # noqa: S302 see module
            del self._buffer[:end]
        return items


def probe_to_item(key: int, probe: Probe) -> Item:
    """A probe for a worker, which remembers it by its key."""
    # Marshal takes plain strings only: no member of an enum, for instance.
    return (
        LEARN,
        key,
        str(probe.url),
        str(probe.method),
        str(probe.ip_version),
        tuple((str(name), str(value)) for name, value in probe.headers.items()),
        probe.body,
        probe.timeout // _MICROSECOND,
        probe.max_body_bytes,
        probe.wants_certificate,
        probe.wants_handshake,
        _options_to_item(probe.options),
    )


def probe_from_item(item: Item) -> tuple[int, Probe]:
    """The inverse of `probe_to_item`."""
    _, key, url, method, version, headers, body, timeout, *rest = item
    max_body_bytes, wants_certificate, wants_handshake, options = rest
    return key, Probe(
        url=url,
        method=method,
        ip_version=IPVersion(version),
        headers=dict(headers),
        body=body,
        timeout=timedelta(microseconds=timeout),
        max_body_bytes=max_body_bytes,
        wants_certificate=wants_certificate,
        wants_handshake=wants_handshake,
        options=_options_from_item(options),
    )


def outcome_to_item(number: int, outcome: Outcome) -> Item:
    """An outcome for the agent."""
    timings = astuple(outcome.timings)
    certificate = outcome.certificate and _certificate_to_item(outcome.certificate)
    if isinstance(outcome, ProbeFailure):
        return (
            number,
            timings,
            certificate,
            outcome.remote_address,
            _details_to_item(outcome.details),
            outcome.kind.value,
            outcome.message,
        )
    headers = outcome.headers
    return (
        number,
        timings,
        certificate,
        outcome.remote_address,
        _details_to_item(outcome.details),
        outcome.status_code,
        headers.block if isinstance(headers, HeaderFields) else tuple(headers),
        outcome.body,
        outcome.body_is_cut,
        outcome.http_version,
    )


def outcome_from_item(item: Item) -> Outcome:
    """The inverse of `outcome_to_item`, without the number."""
    _, timings, certificate, remote_address, details, *rest = item
    if len(rest) == 2:
        return ProbeFailure(
            FailureKind(rest[0]),
            rest[1],
            timings=Timings(*timings),
            certificate=certificate and _certificate_from_item(certificate),
            remote_address=remote_address,
            details=_details_from_item(details),
        )
    status_code, headers, body, body_is_cut, http_version = rest
    return ProbeResponse(
        status_code,
        HeaderFields(headers) if isinstance(headers, bytes) else headers,
        body,
        body_is_cut,
        Timings(*timings),
        certificate and _certificate_from_item(certificate),
        remote_address,
        http_version,
        _details_from_item(details),
    )


def settings_to_item(settings: EngineSettings) -> Item:
    """The settings, for a worker that starts."""
    policy = settings.policy
    return (
        settings.workers,
        settings.slots,
        settings.ca_file,
        settings.user_agent_suffix,
        tuple(str(network) for network in policy.allow),
        tuple(str(network) for network in policy.deny),
        policy.public_only,
        settings.name_servers,
        settings.proxy,
    )


def settings_from_item(item: Item) -> EngineSettings:
    """The inverse of `settings_to_item`."""
    workers, slots, ca_file, suffix, allow, deny, public_only, *rest = item
    name_servers, proxy = rest
    return EngineSettings(
        workers=workers,
        slots=slots,
        ca_file=ca_file,
        user_agent_suffix=suffix,
        policy=Policy.from_texts(allow=allow, deny=deny, public_only=public_only),
        name_servers=name_servers,
        proxy=proxy,
    )


def _options_to_item(options: ProbeOptions) -> Item | None:
    if options is NO_OPTIONS:
        return None
    certificate = options.client_certificate
    return (
        options.http_version.value,
        options.follow,
        options.tls_min.value,
        options.authorization,
        certificate and (certificate.cert, certificate.key, certificate.password),
        options.proxy,
        options.name_server,
        options.all_addresses,
    )


def _options_from_item(item: Item | None) -> ProbeOptions:
    if item is None:
        return NO_OPTIONS
    http_version, follow, tls_min, authorization, certificate, *rest = item
    return ProbeOptions(
        HTTPVersion(http_version),
        follow,
        TLSVersion(tls_min),
        authorization,
        certificate and ClientCertificate(*certificate),
        *rest,
    )


@lru_cache(maxsize=_KNOWN_CERTIFICATES)
def _certificate_to_item(certificate: Certificate) -> Item:
    return (
        (certificate.not_before - _EPOCH) // _SECOND,
        (certificate.not_after - _EPOCH) // _SECOND,
        certificate.subject,
        certificate.issuer,
        certificate.names,
        certificate.fault,
        certificate.fault_code,
        certificate.is_verified,
        certificate.key,
        certificate.signature,
        tuple(_link_to_item(link) for link in certificate.chain),
    )


@lru_cache(maxsize=_KNOWN_CERTIFICATES)
def _certificate_from_item(item: Item) -> Certificate:
    not_before, not_after, *rest = item
    links = [
        ChainCertificate(_EPOCH + until * _SECOND, *more) for until, *more in rest.pop()
    ]
    rest.append(tuple(links))
    return Certificate(
        _EPOCH + not_before * _SECOND, _EPOCH + not_after * _SECOND, *rest
    )


def _link_to_item(link: ChainCertificate) -> Item:
    return (
        (link.not_after - _EPOCH) // _SECOND,
        link.subject,
        link.issuer,
        link.key,
    )


def _details_to_item(details: Details) -> Item | None:
    if details is NO_DETAILS:
        return None
    shaken = details.handshake
    return (
        details.addresses,
        details.hops,
        shaken and (shaken.protocol, shaken.cipher),
        tuple(outcome_to_item(0, outcome) for outcome in details.by_address),
    )


def _details_from_item(item: Item | None) -> Details:
    if item is None:
        return NO_DETAILS
    addresses, hops, shaken, by_address = item
    return Details(
        addresses,
        hops,
        shaken and Handshake(*shaken),
        tuple(outcome_from_item(each) for each in by_address),
    )
