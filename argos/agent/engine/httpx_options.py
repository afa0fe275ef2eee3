"""What of the probe options the fallback engine can do, and how."""

import ssl
from dataclasses import dataclass, replace

import httpx2
from msgspec.structs import replace as change

from argos.agent.engine.httpx_attempt import Attempt
from argos.agent.engine.redirect import Hop
from argos.agent.engine.request import Request
from argos.core.options import (
    DEFAULT_HTTP_VERSION,
    DEFAULT_TLS_MIN,
    NO_PROXY,
    ProbeOptions,
    TLSVersion,
)
from argos.core.probe import Outcome, Probe

_TLS_VERSIONS = {
    TLSVersion.V1_2: ssl.TLSVersion.TLSv1_2,
    TLSVersion.V1_3: ssl.TLSVersion.TLSv1_3,
}


def describe_lack(options: ProbeOptions) -> str | None:
    """Why a probe cannot be made; None: it can."""
    lacks = {
        "http_version": options.http_version is not DEFAULT_HTTP_VERSION,
        "tls_min": options.tls_min < DEFAULT_TLS_MIN,
        "proxy": options.proxy not in {None, NO_PROXY},
        "name_server": options.name_server is not None,
        "all_addresses": options.all_addresses,
    }
    lacking = [name for name, is_lacking in lacks.items() if is_lacking]
    if not lacking:
        return None
    return (
        f"This agent's engine, httpx2, cannot serve the probe option {lacking[0]}:"
        " install pycurl and pycares there."
    )


def open_transport(ca_file: str, options: ProbeOptions) -> httpx2.AsyncHTTPTransport:
    """What makes connections as these options ask. Raises OSError."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = _TLS_VERSIONS[options.tls_min]
    certificate = options.client_certificate
    if certificate is not None:
        # Without a password of ours it would ask for one at the terminal.
        password = certificate.password or ""
        context.load_cert_chain(certificate.cert, certificate.key, password)
    return httpx2.AsyncHTTPTransport(
        verify=context,
        trust_env=False,
        limits=httpx2.Limits(max_keepalive_connections=0, max_connections=None),
    )


@dataclass(slots=True)
class Trip:
    """A probe on its way from one redirect to the next."""

    probe: Probe
    request: Request
    began_at: float
    attempt: Attempt | None = None
    """The last one."""
    known_addresses: tuple[str, ...] = ()
    visited: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.visited = (self.request.url,)

    def go_on(self, ahead: Hop) -> None:
        """Take the next step."""
        self.probe, self.request = ahead.probe, ahead.request
        self.visited += (ahead.request.url,)
        self.attempt = None

    def tell(self, outcome: Outcome) -> Outcome:
        """The outcome with what the way showed."""
        known, hops = self.known_addresses, self.visited[1:]
        if len(known) < 2 and not hops:
            return outcome
        addresses = known if len(known) > 1 else ()
        details = replace(outcome.details, addresses=addresses, hops=hops)
        return change(outcome, details=details)
