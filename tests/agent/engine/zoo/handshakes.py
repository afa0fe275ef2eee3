"""TLS: certificates in all states of health, and handshakes that end early."""

import os
import ssl
import warnings
from collections.abc import Callable

import certifi

from argos.core.options import ProbeOptions, TLSVersion as OldestTLS
from tests.agent.engine.servers import (
    OK,
    answering,
)
from tests.agent.engine.zoo.behaviours import (
    close_at_once,
    greeting,
    repeating_at_once,
    reset_at_once,
    silent,
)
from tests.agent.engine.zoo.member import (
    INTERNAL,
    SHORT,
    TIMEOUT,
    TLS,
    Check,
    answers,
    breaks_off,
    fails,
    member,
    says_certificate,
    shows_certificate,
)

member(
    "good certificate",
    answering(OK),
    answers(body=b"ok"),
    scheme="https",
    certificate="good",
)
member(
    "intermediate shown",
    answering(OK),
    answers(),
    scheme="https",
    certificate="with an intermediate",
)
member(
    "10,000 names",
    answering(OK),
    fails(TLS, "excessive message"),
    scheme="https",
    certificate="10,000 names",
)
for name in (
    "1,000 names",
    "valid to the end of time",
    "valid into 2049",
    "valid into 2050",
    "empty subject",
    "subject with markup",
    "no alternative names",
):
    member(name, answering(OK), answers(), scheme="https", certificate=name)
for name, fault, code in (
    ("expired", "expired 3 days ago", 10),
    ("expired a moment ago", "expired less than a day ago", 10),
    ("not yet valid", "not valid for another 3 days", 9),
    ("wrong host", "for other.example, www.other.example, not for localhost", 0),
    ("wrong host and expired", "expired 3 days ago", 10),
    ("self-signed", "self-signed", 18),
    ("unknown issuer", "signed by an unknown authority", 20),
    ("intermediate missing", "an intermediate certificate is missing", 20),
    (
        "intermediate expired",
        "signed by an authority whose own certificate is expired",
        10,
    ),
    ("wildcard for everything", "for *, not for localhost", 0),
    ("RSA of 1024 bits", "of too small a key", 66),
):
    member(
        name,
        answering(OK),
        shows_certificate(fault, code=code),
        httpx=says_certificate(),
        scheme="https",
        certificate=name,
    )
member(
    "handshake stalls",
    silent,
    fails(TIMEOUT, "The TLS handshake did not end within 0.5 s."),
    scheme="https",
    probe={"timeout": SHORT},
)
member("close in the handshake", close_at_once, fails(TLS), scheme="https")
member("reset in the handshake", reset_at_once, fails(TLS), scheme="https")
member(
    "TLS alert", greeting(b"\x15\x03\x01\x00\x02\x02\x28"), fails(TLS), scheme="https"
)
member(
    "flood of TLS alerts",
    repeating_at_once(b"\x15\x03\x01\x00\x02\x01\x5a" * 1000),
    fails(TLS),
    scheme="https",
)
member("TLS noise", greeting(os.urandom(4096)), fails(TLS), scheme="https")
for name, fault, code in (
    ("SHA-1", "weak", 68),
    ("NUL in the name", "not for localhost", 0),
    ("wildcard for a top-level name", "for *.localhost, not for localhost", 0),
    ("wildcard within a label", "for local*, not for localhost", 0),
    ("begins at the end of time", "not valid for another", 9),
):
    member(
        name,
        answering(OK),
        shows_certificate(fault, code=code),
        httpx=says_certificate(),
        scheme="https",
        certificate=name,
    )
member(
    "long chain",
    answering(OK),
    fails(TLS, "excessive message"),
    scheme="https",
    certificate="long chain",
)


def at_most(version: ssl.TLSVersion) -> Callable[[ssl.SSLContext], None]:
    def tune(context):
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = version

    return tune


def wish_for_certificate(context: ssl.SSLContext) -> None:
    context.load_verify_locations(cafile=certifi.where())
    context.verify_mode = ssl.CERT_OPTIONAL


def demand_certificate(version: ssl.TLSVersion) -> Callable[[ssl.SSLContext], None]:
    def tune(context):
        wish_for_certificate(context)
        context.maximum_version = version
        context.verify_mode = ssl.CERT_REQUIRED

    return tune


def refuse_every_name(context: ssl.SSLContext) -> None:
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


def close_unless_named(context: ssl.SSLContext) -> None:
    def answer(_connection, name, _context):
        return None if name == "localhost" else ssl.ALERT_DESCRIPTION_ACCESS_DENIED

    context.sni_callback = answer


def tuned(name: str, tune: Callable[[ssl.SSLContext], None], expects: Check, **more):
    """A good certificate, in a handshake of its own kind."""
    member(
        name,
        answering(OK),
        expects,
        scheme="https",
        certificate="good",
        tune=tune,
        **more,
    )


tuned("TLS 1.0 only", at_most(ssl.TLSVersion.TLSv1), fails(TLS))
tuned("TLS 1.1 only", at_most(ssl.TLSVersion.TLSv1_1), fails(TLS))
tuned(
    "TLS 1.0 where it is allowed",
    at_most(ssl.TLSVersion.TLSv1),
    answers(body=b"ok"),
    httpx=fails(INTERNAL, "tls_min"),
    probe={"options": ProbeOptions(tls_min=OldestTLS.V1_0)},
)
tuned("TLS 1.2 only", at_most(ssl.TLSVersion.TLSv1_2), answers(body=b"ok"))
tuned(
    "client certificate wished for",
    wish_for_certificate,
    answers(body=b"ok"),
)
tuned(
    "client certificate demanded over TLS 1.2",
    demand_certificate(ssl.TLSVersion.TLSv1_2),
    fails(TLS),
)
tuned(
    "client certificate demanded over TLS 1.3",
    demand_certificate(ssl.TLSVersion.TLSv1_3),
    breaks_off(),
)
tuned("name refused", refuse_every_name, fails(TLS))
tuned("answers to one name only", close_unless_named, answers(body=b"ok"))
tuned(
    "ALPN of nonsense",
    lambda context: context.set_alpn_protocols(["nonsense", "a" * 255]),
    answers(body=b"ok"),
)
