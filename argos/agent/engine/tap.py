"""Listening to a handshake, for what libcurl does not tell afterwards."""

import pycurl

from argos.agent.engine.der import split_message
from argos.core.probe import Handshake

_AGREED = b"SSL connection using "
_CERTIFICATE = 11
"""The kind of TLS's message that carries the chain; we see it decrypted."""
_MAX_MESSAGE = 128 * 1024


class Tap:
    """What one handshake showed."""

    __slots__ = ("_message", "handshake")

    def __init__(self) -> None:
        self.handshake: Handshake | None = None
        self._message = b""

    @property
    def certificates(self) -> list[bytes]:
        """The chain as the server sent it, the leaf first; judged by nobody."""
        return split_message(self._message) if self._message else []

    def take_in(self, kind: int, data: bytes) -> None:
        """Look at one of libcurl's debug messages (its callback)."""
        if kind == pycurl.INFOTYPE_SSL_DATA_IN:
            if data[:1] == bytes([_CERTIFICATE]) and len(data) <= _MAX_MESSAGE:
                self._message = data
        elif kind == pycurl.INFOTYPE_TEXT and data.startswith(_AGREED):
            # "TLSv1.3 / TLS_AES_256_GCM_SHA384 / x25519 / id-ecPublicKey"
            parts = data[len(_AGREED) :].decode("ascii", "replace").strip().split(" / ")
            if len(parts) > 1:
                self.handshake = Handshake(parts[0], parts[1])
