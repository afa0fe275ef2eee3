"""What libcurl's errors mean to somebody who watches a website."""

import errno
import os
from dataclasses import dataclass
from enum import IntEnum

from argos.core.probe import FailureKind
from argos.core.text import cut, visible

MAX_MESSAGE_LENGTH = 300


class CurlCode(IntEnum):
    """The error codes that we know what to make of (curl/curl.h)."""

    OK = 0
    UNSUPPORTED_PROTOCOL = 1
    COULDNT_CONNECT = 7
    WEIRD_SERVER_REPLY = 8
    PARTIAL_FILE = 18
    WRITE_ERROR = 23
    OPERATION_TIMEDOUT = 28
    BAD_FUNCTION_ARGUMENT = 43
    SSL_CONNECT_ERROR = 35
    GOT_NOTHING = 52
    SEND_ERROR = 55
    RECV_ERROR = 56
    SSL_CERTPROBLEM = 58
    SSL_CIPHER = 59
    PEER_FAILED_VERIFICATION = 60
    BAD_CONTENT_ENCODING = 61
    SSL_ISSUER_ERROR = 83
    SSL_INVALIDCERTSTATUS = 91
    HTTP2 = 16
    HTTP2_STREAM = 92
    HTTP3 = 95
    QUIC_CONNECT_ERROR = 96
    PROXY = 97
    TOO_LARGE = 100


_KINDS: dict[int, FailureKind] = {
    CurlCode.COULDNT_CONNECT: FailureKind.CONNECT,
    CurlCode.OPERATION_TIMEDOUT: FailureKind.TIMEOUT,
    CurlCode.PEER_FAILED_VERIFICATION: FailureKind.CERTIFICATE,
    CurlCode.SSL_CONNECT_ERROR: FailureKind.TLS,
    CurlCode.SSL_CERTPROBLEM: FailureKind.TLS,
    CurlCode.SSL_CIPHER: FailureKind.TLS,
    CurlCode.SSL_ISSUER_ERROR: FailureKind.TLS,
    CurlCode.SSL_INVALIDCERTSTATUS: FailureKind.TLS,
    # libcurl's word for an answer in another protocol than the one asked for.
    CurlCode.UNSUPPORTED_PROTOCOL: FailureKind.PROTOCOL,
    CurlCode.WEIRD_SERVER_REPLY: FailureKind.PROTOCOL,
    CurlCode.PARTIAL_FILE: FailureKind.PROTOCOL,
    CurlCode.GOT_NOTHING: FailureKind.PROTOCOL,
    CurlCode.SEND_ERROR: FailureKind.PROTOCOL,
    CurlCode.RECV_ERROR: FailureKind.PROTOCOL,
    CurlCode.BAD_CONTENT_ENCODING: FailureKind.PROTOCOL,
    CurlCode.TOO_LARGE: FailureKind.TOO_LARGE,
    CurlCode.HTTP2: FailureKind.PROTOCOL,
    CurlCode.HTTP2_STREAM: FailureKind.PROTOCOL,
    CurlCode.HTTP3: FailureKind.PROTOCOL,
    CurlCode.QUIC_CONNECT_ERROR: FailureKind.CONNECT,
}
# Where libcurl has no words.
_UNTOLD = {FailureKind.TOO_LARGE: "its headers are too long"}
_TOO_OLD = ("unsupported protocol", "alert protocol version")
_BROKEN_OFF = frozenset({CurlCode.SEND_ERROR, CurlCode.RECV_ERROR})

PROXY_CODES = frozenset({
    CurlCode.COULDNT_CONNECT,
    CurlCode.PROXY,
    CurlCode.RECV_ERROR,
    CurlCode.SEND_ERROR,
    CurlCode.TOO_LARGE,
    CurlCode.WEIRD_SERVER_REPLY,
})
"""With one of these a proxy ends what it does not want."""

# The agent's machine is at fault: descriptors, memory, ports, families, firewall.
_OWN_TROUBLE = frozenset({
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
    errno.EPERM,
})


class AnswerError(Exception):
    """An answer cannot be used; in libcurl's words."""

    def __init__(self, code: CurlCode, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a probe had come when it failed."""

    address: str
    port: int
    timeout: float
    """Seconds."""
    is_connected: bool
    """TCP, that is."""
    is_request_sent: bool
    has_answer_begun: bool


def kind_of(code: int, os_error: int, progress: Progress) -> FailureKind:
    """Where an error belongs; `internal` when it says nothing of the target."""
    if code == CurlCode.COULDNT_CONNECT and os_error in _OWN_TROUBLE:
        return FailureKind.INTERNAL
    if code == CurlCode.BAD_FUNCTION_ARGUMENT and progress.has_answer_begun:
        # What libcurl calls a trailer that is none.
        return FailureKind.PROTOCOL
    if code in _BROKEN_OFF and not progress.is_request_sent:
        return FailureKind.TLS if progress.is_connected else FailureKind.CONNECT
    return _KINDS.get(code, FailureKind.INTERNAL)


def message_of(kind: FailureKind, text: str, os_error: int, progress: Progress) -> str:
    """One sentence for the user. `text` is libcurl's own."""
    where = f"{progress.address} port {progress.port}"
    reason = one_line(text) or _UNTOLD.get(kind, "no reason given")
    if kind is FailureKind.CONNECT:
        reason = os.strerror(os_error) if os_error else reason
        return f"Could not connect to {where}: {reason}."
    if kind is FailureKind.TIMEOUT:
        return f"{_what_was_missing(progress)} within {progress.timeout:g} s."
    if kind is FailureKind.TLS:
        return f"The TLS handshake failed: {reason}{_advice(reason)}."
    if kind is FailureKind.INTERNAL:
        return f"The probe could not be made: {reason}."
    return f"The answer could not be used: {reason}."


def _advice(reason: str) -> str:
    if not any(word in reason for word in _TOO_OLD):
        return ""
    return (
        "; the website speaks only versions of TLS that we do not accept, unless the"
        " option tls_min allows older ones"
    )


def _what_was_missing(progress: Progress) -> str:
    if not progress.is_connected:
        return f"No connection to {progress.address} port {progress.port}"
    if not progress.is_request_sent:
        return "The TLS handshake did not end"
    if not progress.has_answer_begun:
        return "No answer came"
    return "The answer did not end"


def one_line(text: str) -> str:
    """Text of any origin as part of a sentence: visible, short, without its stop."""
    shown = visible(text)
    if not shown.isprintable():
        # Characters that nobody has given a shape, such as those of private use.
        shown = "".join(
            char if char.isprintable() else f"\\u{{{ord(char):x}}}" for char in shown
        )
    return cut(shown, MAX_MESSAGE_LENGTH).rstrip(". ")
