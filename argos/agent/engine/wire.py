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
from typing import Any

from argos.agent.engine.address import Policy
from argos.agent.engine.interface import EngineSettings
from argos.core.probe import (
    Certificate,
    FailureKind,
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

Item = tuple[Any, ...]


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


def probe_to_item(number: int, probe: Probe) -> Item:
    """A probe for a worker; `number` names it until its outcome."""
    # Marshal takes plain strings only: no member of an enum, for instance.
    return (
        number,
        str(probe.url),
        str(probe.method),
        str(probe.ip_version),
        tuple((str(name), str(value)) for name, value in probe.headers.items()),
        probe.body,
        probe.timeout // _MICROSECOND,
        probe.max_body_bytes,
        probe.wants_certificate,
    )


def probe_from_item(item: Item) -> tuple[int, Probe]:
    """The inverse of `probe_to_item`."""
    number, url, method, version, headers, body, timeout, max_body_bytes, wants = item
    return number, Probe(
        url=url,
        method=method,
        ip_version=IPVersion(version),
        headers=dict(headers),
        body=body,
        timeout=timedelta(microseconds=timeout),
        max_body_bytes=max_body_bytes,
        wants_certificate=wants,
    )


def outcome_to_item(number: int, outcome: Outcome) -> Item:
    """An outcome for the agent."""
    common = (
        number,
        _timings_to_item(outcome.timings),
        _certificate_to_item(outcome.certificate),
        outcome.remote_address,
    )
    if isinstance(outcome, ProbeFailure):
        return (*common, outcome.kind.value, outcome.message)
    return (
        *common,
        outcome.status_code,
        outcome.headers,
        outcome.body,
        outcome.body_is_cut,
        outcome.http_version,
    )


def outcome_from_item(item: Item) -> tuple[int, Outcome]:
    """The inverse of `outcome_to_item`."""
    number, timings, certificate, remote_address, *rest = item
    common = {
        "timings": Timings(*timings),
        "certificate": _certificate_from_item(certificate),
        "remote_address": remote_address,
    }
    if len(rest) == 2:
        kind, message = rest
        return number, ProbeFailure(FailureKind(kind), message, **common)
    status_code, headers, body, body_is_cut, http_version = rest
    return number, ProbeResponse(
        status_code=status_code,
        headers=headers,
        body=body,
        body_is_cut=body_is_cut,
        http_version=http_version,
        **common,
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
    )


def settings_from_item(item: Item) -> EngineSettings:
    """The inverse of `settings_to_item`."""
    workers, slots, ca_file, suffix, allow, deny, public_only, name_servers = item
    return EngineSettings(
        workers=workers,
        slots=slots,
        ca_file=ca_file,
        user_agent_suffix=suffix,
        policy=Policy.from_texts(allow=allow, deny=deny, public_only=public_only),
        name_servers=name_servers,
    )


def _timings_to_item(timings: Timings) -> Item:
    return (
        timings.dns_us,
        timings.connect_us,
        timings.tls_us,
        timings.first_byte_us,
        timings.transfer_us,
        timings.total_us,
        timings.timing_error_us,
    )


def _certificate_to_item(certificate: Certificate | None) -> Item | None:
    if certificate is None:
        return None
    return (
        (certificate.not_before - _EPOCH) // _SECOND,
        (certificate.not_after - _EPOCH) // _SECOND,
        certificate.subject,
        certificate.issuer,
        certificate.names,
        certificate.fault,
        certificate.fault_code,
    )


def _certificate_from_item(item: Item | None) -> Certificate | None:
    if item is None:
        return None
    not_before, not_after, *rest = item
    return Certificate(
        _EPOCH + not_before * _SECOND, _EPOCH + not_after * _SECOND, *rest
    )
