"""What libcurl's codes mean."""

import errno

import pytest

from argos.agent.engine.failure import (
    CurlCode,
    Progress,
    kind_of,
    message_of,
    one_line,
)
from argos.core.probe import FailureKind


def progress(*, connected=True, sent=True, begun=False) -> Progress:
    return Progress("192.0.2.1", 443, 30.0, connected, sent, begun)


@pytest.mark.parametrize(
    ("code", "os_error", "how_far", "kind"),
    [
        (7, errno.ECONNREFUSED, progress(connected=False, sent=False), "connect"),
        (7, errno.ENETUNREACH, progress(connected=False, sent=False), "connect"),
        (7, errno.EMFILE, progress(connected=False, sent=False), "internal"),
        (7, errno.EADDRNOTAVAIL, progress(connected=False, sent=False), "internal"),
        (28, 0, progress(), "timeout"),
        (35, 0, progress(sent=False), "tls"),
        (56, errno.ECONNRESET, progress(), "protocol"),
        (56, errno.ECONNRESET, progress(sent=False), "tls"),
        (55, errno.EPIPE, progress(connected=False, sent=False), "connect"),
        (52, 0, progress(), "protocol"),
        (18, 0, progress(begun=True), "protocol"),
        (1, 0, progress(), "protocol"),
        (8, 0, progress(), "protocol"),
        (100, 0, progress(), "too-large"),
        (60, 0, progress(sent=False), "certificate"),
        (77, 0, progress(sent=False), "internal"),
        (27, 0, progress(), "internal"),
        (42, 0, progress(), "internal"),
        (12345, 0, progress(), "internal"),
    ],
)
def test_code_has_its_kind(code, os_error, how_far, kind):
    assert kind_of(code, os_error, how_far) == kind


@pytest.mark.parametrize(
    ("kind", "text", "os_error", "how_far", "message"),
    [
        (
            FailureKind.CONNECT,
            "Failed to connect",
            errno.ECONNREFUSED,
            progress(connected=False, sent=False),
            "Could not connect to 192.0.2.1 port 443: Connection refused.",
        ),
        (
            FailureKind.TIMEOUT,
            "",
            0,
            progress(connected=False, sent=False),
            "No connection to 192.0.2.1 port 443 within 30 s.",
        ),
        (
            FailureKind.TIMEOUT,
            "",
            0,
            progress(sent=False),
            "The TLS handshake did not end within 30 s.",
        ),
        (FailureKind.TIMEOUT, "", 0, progress(), "No answer came within 30 s."),
        (
            FailureKind.TIMEOUT,
            "",
            0,
            progress(begun=True),
            "The answer did not end within 30 s.",
        ),
        (
            FailureKind.PROTOCOL,
            "weird\x1b[31m.",
            0,
            progress(),
            r"The answer could not be used: weird\u001b[31m.",
        ),
        (
            FailureKind.INTERNAL,
            "",
            0,
            progress(),
            "The probe could not be made: no reason given.",
        ),
        (
            FailureKind.TOO_LARGE,
            "",
            0,
            progress(begun=True),
            "The answer could not be used: its headers are too long.",
        ),
    ],
)
def test_message_is_one_harmless_sentence(kind, text, os_error, how_far, message):
    assert message_of(kind, text, os_error, how_far) == message


def test_long_text_is_cut():
    assert len(one_line("a" * 10_000)) <= 300


def test_codes_are_those_of_the_library():
    pycurl = pytest.importorskip("pycurl")

    for code in CurlCode:
        constant = getattr(pycurl, f"E_{code.name}", code)
        assert constant == code
