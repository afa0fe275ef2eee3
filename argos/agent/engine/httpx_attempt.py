"""One exchange through httpx2, and what is to be told of it."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpcore2
import httpx2

from argos.agent.engine.body import BodyError, decode_body, encodings_of
from argos.agent.engine.certificate import describe_fault, read_certificate
from argos.agent.engine.der import RawFields
from argos.agent.engine.failure import Progress, message_of
from argos.agent.engine.header import describe_overflow
from argos.agent.engine.request import Request
from argos.clock import Clock
from argos.core.probe import (
    NO_DETAILS,
    Certificate,
    Details,
    FailureKind,
    Handshake,
    Outcome,
    Probe,
    ProbeFailure,
    ProbeResponse,
    Timings,
)

_TOO_LARGE_FOR_H11 = 431
"""The status that h11 would answer with, were it the server."""


@dataclass(slots=True)
class Attempt:
    """A probe at one of its addresses."""

    probe: Probe
    request: Request
    address: str
    clock: Clock
    dns_us: int | None
    began_at: float
    """Of the probe: the first attempt's beginning, the name looked up or not."""
    marks: dict[str, float] = field(default_factory=dict)
    """When httpx2 told of which event."""
    connection: httpcore2.AsyncNetworkStream | None = None

    async def run(self, transport: httpx2.AsyncHTTPTransport) -> Outcome:
        """Send the request and take in the answer. Raises what httpx2 raises."""
        try:
            response = await transport.handle_async_request(self._message())
        except BaseException:
            # httpx2 leaves the socket to the garbage collector when a handshake is
            # broken off by the deadline.
            if self.connection is not None:
                await self.connection.aclose()
            raise
        try:
            self.marks["headers"] = self.clock.monotonic()
            certificate = self._certificate(response)
            details = self._details(response)
            overflow = describe_overflow(response.headers.raw)
            if overflow is not None:
                return self.failure(FailureKind.TOO_LARGE, overflow)
            raw, is_cut = await self._take_body(response)
        finally:
            await response.aclose()
        headers = tuple(
            (name.decode("latin-1").lower(), _decode(value))
            for name, value in response.headers.raw
        )
        try:
            body, is_decoded_cut = decode_body(
                raw, encodings_of(headers), self.probe.max_body_bytes
            )
        except BodyError as err:
            return self.failure(FailureKind.PROTOCOL, str(err))
        version = response.extensions["http_version"].decode("ascii")
        return ProbeResponse(
            status_code=response.status_code,
            headers=headers,
            body=body,
            body_is_cut=is_cut or is_decoded_cut,
            timings=self._timings(),
            certificate=certificate,
            remote_address=self.address,
            http_version=version.removeprefix("HTTP/"),
            details=details,
        )

    def failure_of(self, err: Exception, *, now: datetime) -> ProbeFailure:
        """What an exception of httpx2, or the end of the time, means."""
        progress = Progress(
            address=self.address,
            port=self.request.port,
            timeout=self.probe.timeout.total_seconds(),
            is_connected="connection.connect_tcp.complete" in self.marks,
            is_request_sent="http11.send_request_headers.started" in self.marks,
            has_answer_begun="headers" in self.marks,
        )
        for cause in _causes(err):
            if isinstance(cause, ssl.SSLCertVerificationError):
                return self._certificate_failure(cause, now)
        kind = _kind_of(err, progress)
        os_error = next(
            (
                cause.errno
                for cause in _causes(err)
                if isinstance(cause, OSError) and cause.errno
            ),
            0,
        )
        return self.failure(kind, message_of(kind, str(err), os_error, progress))

    def failure(self, kind: FailureKind, message: str) -> ProbeFailure:
        """A failure with what is known so far."""
        return ProbeFailure(
            kind, message, timings=self._timings(), remote_address=self.address
        )

    def _message(self) -> httpx2.Request:
        url = httpx2.URL(self.request.url)
        given = self.request.headers
        names = {name.lower() for name, _ in given}
        host = [] if "host" in names else [("Host", url.netloc.decode("ascii"))]
        extensions: dict[str, Any] = {"trace": self._trace}
        if self.request.address is None:
            extensions["sni_hostname"] = self.request.host
        return httpx2.Request(
            self.request.method,
            url.copy_with(host=self.address),
            headers=[*host, *given],
            content=self.request.body,
            extensions=extensions,
        )

    # httpx2 awaits what it traces with.
    async def _trace(self, event: str, info: dict[str, Any]) -> None:
        self.marks.setdefault(event, self.clock.monotonic())
        if event == "connection.connect_tcp.complete":
            self.connection = info["return_value"]

    async def _take_body(self, response: httpx2.Response) -> tuple[bytes, bool]:
        chunks = []
        room = self.probe.max_body_bytes
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        async for chunk in response.stream:
            chunks.append(chunk[:room])
            if len(chunk) > room:
                return b"".join(chunks), True
            room -= len(chunk)
        return b"".join(chunks), False

    def _certificate(self, response: httpx2.Response) -> Certificate | None:
        if not self.request.is_tls or not self.probe.wants_certificate:
            return None
        stream = response.extensions["network_stream"]
        return read_certificate(
            _fields_of(stream.get_extra_info("ssl_object").getpeercert())
        )

    def _details(self, response: httpx2.Response) -> Details:
        if not self.request.is_tapped:
            return NO_DETAILS
        stream = response.extensions["network_stream"]
        secured = stream.get_extra_info("ssl_object")
        return Details(handshake=Handshake(secured.version(), secured.cipher()[0]))

    def _certificate_failure(
        self, err: ssl.SSLCertVerificationError, now: datetime
    ) -> ProbeFailure:
        fault = describe_fault(err.verify_code, None, host=self.request.host, now=now)
        return self.failure(
            FailureKind.CERTIFICATE, f"The certificate is not accepted: {fault}."
        )

    def _timings(self) -> Timings:
        return Timings(
            dns_us=self.dns_us,
            connect_us=self._span(
                "connection.connect_tcp.started", "connection.connect_tcp.complete"
            ),
            tls_us=self._span(
                "connection.start_tls.started", "connection.start_tls.complete"
            ),
            first_byte_us=self._span("http11.send_request_body.complete", "headers"),
            transfer_us=self._since("headers"),
            total_us=_microseconds(self.clock.monotonic() - self.began_at),
        )

    def _span(self, begin: str, end: str) -> int | None:
        if begin not in self.marks or end not in self.marks:
            return None
        return _microseconds(self.marks[end] - self.marks[begin])

    def _since(self, begin: str) -> int | None:
        if begin not in self.marks:
            return None
        return _microseconds(self.clock.monotonic() - self.marks[begin])


def _kind_of(err: Exception, progress: Progress) -> FailureKind:
    if isinstance(err, TimeoutError):
        return FailureKind.TIMEOUT
    hints = {getattr(cause, "error_status_hint", None) for cause in _causes(err)}
    if _TOO_LARGE_FOR_H11 in hints:
        return FailureKind.TOO_LARGE
    if progress.is_request_sent:
        return FailureKind.PROTOCOL
    return FailureKind.TLS if progress.is_connected else FailureKind.CONNECT


def _causes(err: BaseException | None) -> Iterator[BaseException]:
    while err is not None:
        yield err
        err = err.__cause__ or err.__context__


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)


def _fields_of(facts: dict[str, Any]) -> RawFields:
    """The standard library's view of a certificate as libcurl's."""
    names = ", ".join(
        f"{kind}:{name}" for kind, name in facts.get("subjectAltName", ())
    )
    return [
        (b"Subject", _name_of(facts.get("subject", ()))),
        (b"Issuer", _name_of(facts.get("issuer", ()))),
        (b"Start date", facts.get("notBefore", "").encode()),
        (b"Expire date", facts.get("notAfter", "").encode()),
        (b"X509v3 Subject Alternative Name", names.encode()),
    ]


_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
}


def _name_of(parts: tuple[tuple[tuple[str, str], ...], ...]) -> bytes:
    pairs = [
        f"{_SHORT.get(key, key)} = {value}" for part in parts for key, value in part
    ]
    return ", ".join(pairs).encode()
