"""What a member of the zoo is, and what may be expected of it."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from argos.core.probe import FailureKind, Outcome, ProbeFailure, ProbeResponse
from tests.agent.engine.name_server import Zone
from tests.agent.engine.servers import Behaviour

Check = Callable[[Outcome], None]

SHORT = timedelta(seconds=0.5)
"""For members that use all the time there is."""

CAP = 100_000
"""Bytes of a body, for every probe of the zoo."""


@dataclass(frozen=True)
class Member:
    """A server that behaves in one way."""

    name: str
    behave: Behaviour
    expects: Check
    expects_of_httpx: Check
    scheme: str = "http"
    certificate: str | None = None
    """Which of the certificates in `certificates.py` it shows; None: it speaks no TLS."""
    probe: dict[str, Any] = field(default_factory=dict)
    tune: Callable[[ssl.SSLContext], object] | None = None
    """Changes the TLS that the server speaks."""
    host: str = "127.0.0.1"
    """Where the server listens."""
    url: str = "{scheme}://localhost:{port}/"
    zone: Zone | None = None
    """What the name server knows of the host; only the curl engine asks it."""

    def url_at(self, port: int) -> str:
        return self.url.format(scheme=self.scheme, port=port)


MEMBERS: dict[str, Member] = {}


def member(
    name: str,
    behave: Behaviour,
    expects: Check,
    *,
    httpx: Check | None = None,
    **more: Any,
) -> None:
    """Put a server into the zoo."""
    assert name not in MEMBERS, name
    MEMBERS[name] = Member(name, behave, expects, httpx or expects, **more)


def answers(
    status: int = 200,
    *,
    body: bytes | None = None,
    is_cut: bool = False,
    header: tuple[str, str] | None = None,
) -> Check:
    """The probe is answered."""

    def check(outcome: Outcome) -> None:
        assert isinstance(outcome, ProbeResponse), outcome
        assert outcome.status_code == status
        assert body is None or outcome.body == body
        assert outcome.body_is_cut is is_cut
        assert len(outcome.body) <= CAP
        assert header is None or header in outcome.headers

    return check


def fails(kind: FailureKind, says: str = "") -> Check:
    """The probe fails, and the user is told this."""

    def check(outcome: Outcome) -> None:
        assert isinstance(outcome, ProbeFailure), outcome.status_code
        assert outcome.kind is kind, outcome
        assert says in outcome.message
        assert outcome.message.isprintable()
        assert outcome.message.endswith(".")

    return check


def fails_as(*kinds: FailureKind) -> Check:
    """The probe fails; as which of these kinds is a matter of moments."""

    def check(outcome: Outcome) -> None:
        assert isinstance(outcome, ProbeFailure), outcome.status_code
        assert outcome.kind in kinds, outcome

    return check


def breaks_off() -> Check:
    """The connection ends under our request."""
    return fails_as(TLS, PROTOCOL)


def shows_certificate(fault: str, *, code: int | None = None) -> Check:
    """The certificate is not accepted, and shown all the same."""

    def check(outcome: Outcome) -> None:
        fails(FailureKind.CERTIFICATE, fault)(outcome)
        assert outcome.certificate is not None
        assert fault in (outcome.certificate.fault or "")
        assert code is None or outcome.certificate.fault_code == code

    return check


def says_certificate(fault: str = "") -> Check:
    """All that httpx2 can tell of a certificate that is not accepted."""
    return fails(FailureKind.CERTIFICATE, fault)


def reaches(*hops: str, status: int = 200) -> Check:
    """The last place to which redirects lead has answered; they lead to these."""

    def check(outcome: Outcome) -> None:
        answers(status)(outcome)
        seen = outcome.details.hops
        assert len(seen) == len(hops)
        assert all(url.endswith(end) for url, end in zip(seen, hops, strict=True)), seen

    return check


TIMEOUT = FailureKind.TIMEOUT
PROTOCOL = FailureKind.PROTOCOL
TOO_LARGE = FailureKind.TOO_LARGE
TLS = FailureKind.TLS
REDIRECT = FailureKind.REDIRECT
REFUSED = FailureKind.REFUSED
DNS = FailureKind.DNS
INTERNAL = FailureKind.INTERNAL
CONNECT = FailureKind.CONNECT
