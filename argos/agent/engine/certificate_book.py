"""Certificates that a worker has read lately, so that it need not read them each time.

To have a certificate taken apart costs a tenth of a handshake, and it rarely changes.
It is read when a website is first seen, every five minutes, and whenever a probe failed;
that it is still accepted, each handshake proves.
"""

from argos.agent.engine.transfer import Transfer
from argos.clock import Clock
from argos.core.options import NO_OPTIONS
from argos.core.probe import Certificate, Outcome, ProbeFailure

MAX_AGE = 300.0
"""Seconds for which a certificate that was replaced by another may still be shown."""
MAX_ENTRIES = 4096

_Key = tuple[str, int, str]


class CertificateBook:
    """The accepted certificates by host, port and address."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[_Key, tuple[float, Certificate]] = {}

    def find(self, transfer: Transfer) -> Certificate | None:
        """The certificate that this website showed lately; None: read it."""
        if not _is_usual(transfer):
            return None
        key = _key(transfer)
        entry = self._entries.get(key)
        if entry is None:
            return None
        read_at, certificate = entry
        if self._clock.monotonic() - read_at > MAX_AGE:
            del self._entries[key]
            return None
        return certificate

    def note(self, transfer: Transfer, outcome: Outcome) -> None:
        """Learn from an outcome: a new certificate, or that something has changed."""
        if isinstance(outcome, ProbeFailure):
            self.forget(transfer)
        elif not _is_usual(transfer):
            return
        elif transfer.certificate is None and outcome.certificate is not None:
            if len(self._entries) >= MAX_ENTRIES:
                self._entries.clear()
            now = self._clock.monotonic()
            self._entries[_key(transfer)] = (now, outcome.certificate)

    def forget(self, transfer: Transfer) -> None:
        """Have the certificate of this website read the next time."""
        self._entries.pop(_key(transfer), None)


def _is_usual(transfer: Transfer) -> bool:
    """Whether another probe would be shown the same certificate, and no more."""
    return transfer.tap is None and transfer.request.connection is NO_OPTIONS


def _key(transfer: Transfer) -> _Key:
    request = transfer.request
    return request.host, request.port, transfer.address
