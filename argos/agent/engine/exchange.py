"""One request and its answer without libcurl, and the outcome of its probe."""

import socket

from argos.agent.engine.ending import Ending
from argos.agent.engine.failure import CurlCode
from argos.agent.engine.http1 import AnswerReader
from argos.agent.engine.transfer import Transfer
from argos.core.headers import HeaderFields
from argos.core.probe import Outcome, Timings

_HTTP_VERSIONS = {10: "1.0", 11: "1.1"}


class Exchange(Ending):
    """A request on a connection of its own; in the end it tells how it was."""

    # Moments are those of the loop's monotonic clock; 0.0: it never came.
    connected_at = 0.0
    sent_at = 0.0
    first_byte_at = 0.0
    ended_at = 0.0
    limit_at = 0.0
    """When it is too late for what is waited for."""
    os_error = 0
    is_over = False
    socket: "socket.SocketType | None" = None

    def __init__(self, transfer: Transfer, request: bytes, started_at: float) -> None:
        # Not by way of the class above it: there is one for each probe.
        self.transfer = transfer
        self.code = CurlCode.OK
        self.text = ""
        self.timing_error_us = 0
        self.started_at = started_at
        self.unsent: bytes | memoryview = request
        self.reader = AnswerReader(is_head_asked_for=transfer.request.method == "HEAD")

    def outcome(self) -> Outcome:
        """The outcome of the probe."""
        head = self.reader.usual_head
        if head and self._is_answer and not self.transfer.is_memory_full:
            # The reader has looked for all that there is to look for.
            return self._response(HeaderFields(head))
        return super().outcome()

    @property
    def attempt_us(self) -> int:
        return round((self.ended_at - self.started_at) * 1e6)

    @property
    def _lines(self) -> bytes:
        return self.reader.lines

    @property
    def _status(self) -> int:
        return self.reader.status

    @property
    def _http_version(self) -> str | None:
        return _HTTP_VERSIONS[self.reader.version]

    @property
    def _os_error(self) -> int:
        return self.os_error

    @property
    def _is_connected(self) -> bool:
        return self.connected_at > 0

    def _timings(self) -> Timings:
        transfer = self.transfer
        started, connected, ended = self.started_at, self.connected_at, self.ended_at
        begun = self.first_byte_at if self.reader.has_begun else 0.0
        earlier_us, dns_us = transfer.earlier_us, transfer.dns_us
        total_us = round((ended - started) * 1e6) + earlier_us
        return Timings(
            dns_us,
            round((connected - started) * 1e6) + earlier_us if connected else None,
            None,
            # An answer may begin before the whole request is out.
            round(max(0.0, begun - (self.sent_at or connected)) * 1e6)
            if begun
            else None,
            round((ended - begun) * 1e6) if begun else None,
            transfer.former_us + (dns_us or 0) + total_us,
            self.timing_error_us,
        )
