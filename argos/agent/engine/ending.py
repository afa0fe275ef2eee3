"""How an attempt ended, and the outcome that its probe has by that.

What libcurl tells and what our own exchanges tell is asked for in two ways; what it
means is the same.
"""

from argos.agent.engine.body import BodyError, decode_body, encodings_of
from argos.agent.engine.failure import CurlCode, Progress, kind_of, message_of
from argos.agent.engine.header import find_fields, find_overflow
from argos.agent.engine.transfer import Transfer
from argos.core.headers import HeaderFields
from argos.core.probe import (
    Certificate,
    FailureKind,
    Outcome,
    ProbeFailure,
    ProbeResponse,
    Timings,
)


class Ending:
    """The end of an attempt."""

    __slots__ = ("code", "text", "timing_error_us", "transfer")

    def __init__(
        self, transfer: Transfer, code: int, text: str, *, timing_error_us: int = 0
    ) -> None:
        self.transfer = transfer
        self.code = code
        """One of libcurl's, whoever says it."""
        self.text = text
        self.timing_error_us = timing_error_us

    @property
    def attempt_us(self) -> int:
        """How long the attempt took."""
        raise NotImplementedError

    @property
    def _lines(self) -> bytes:
        """The header lines that came."""
        raise NotImplementedError

    @property
    def _status(self) -> int:
        raise NotImplementedError

    @property
    def _http_version(self) -> str | None:
        raise NotImplementedError

    @property
    def _os_error(self) -> int:
        raise NotImplementedError

    @property
    def _is_connected(self) -> bool:
        raise NotImplementedError

    def _timings(self) -> Timings:
        raise NotImplementedError

    def _certificate(self) -> Certificate | None:
        return None

    @property
    def _is_answer(self) -> bool:
        """Whether all came, or as much as was wanted: then we ended it ourselves."""
        return self.code == CurlCode.OK or (
            self.code == CurlCode.WRITE_ERROR and self.transfer.is_body_cut
        )

    def outcome(self) -> Outcome:
        """The outcome of the probe."""
        transfer = self.transfer
        if transfer.is_memory_full:
            return self._failure(
                FailureKind.INTERNAL, "The agent has no memory left for this body."
            )
        lines = self._lines
        overflow = find_overflow(lines)
        if overflow is not None:
            return self._failure(FailureKind.TOO_LARGE, overflow)
        if not self._is_answer:
            return self._error(lines)
        headers = find_fields(lines)
        if headers is None:
            return self._failure(FailureKind.PROTOCOL, "The headers broke off.")
        return self._response(headers)

    def _response(self, headers: HeaderFields) -> Outcome:
        transfer = self.transfer
        body, is_cut = transfer.body, transfer.is_body_cut
        if b"content-encoding" in headers.block.lower():
            try:
                body, is_decoded_cut = decode_body(
                    body, encodings_of(headers), transfer.probe.max_body_bytes
                )
            except BodyError as err:
                return self._failure(FailureKind.PROTOCOL, str(err))
            is_cut = is_cut or is_decoded_cut
        return ProbeResponse(
            self._status,
            headers,
            body,
            is_cut,
            self._timings(),
            self._certificate() if transfer.wants_certificate else None,
            transfer.address,
            self._http_version,
        )

    def _error(self, lines: bytes) -> ProbeFailure:
        transfer = self.transfer
        progress = Progress(
            address=transfer.address,
            port=transfer.request.port,
            timeout=transfer.probe.timeout.total_seconds(),
            is_connected=self._is_connected,
            is_request_sent=transfer.is_established,
            has_answer_begun=bool(lines),
        )
        os_error = self._os_error
        kind = kind_of(self.code, os_error, progress)
        return self._failure(kind, message_of(kind, self.text, os_error, progress))

    def _failure(self, kind: FailureKind, message: str) -> ProbeFailure:
        return ProbeFailure(
            kind,
            message,
            timings=self._timings(),
            certificate=self._certificate(),
            remote_address=self.transfer.address,
        )
