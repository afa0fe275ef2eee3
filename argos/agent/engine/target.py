"""What a worker knows of a probe that it makes again and again."""

from dataclasses import dataclass, field

import pycurl

from argos.agent.engine.plain_request import write_request
from argos.agent.engine.request import Request
from argos.core.probe import Probe


@dataclass(slots=True, eq=False)
class Profile:
    """Requests that differ by URL and address alone, and handles set up for them."""

    request: Request
    """One of them, without its URL and address."""
    idle: list[pycurl.Curl] = field(default_factory=list)
    is_retired: bool = False
    """Its handles are gone; who still has it asks for another."""


@dataclass(slots=True, eq=False)
class Target:
    """A probe, checked, with all that stays the same from one time to the next."""

    probe: Probe
    request: Request
    profile: Profile | None = None
    """Whose handles fit; found when it is first made."""
    has_right_version: bool = field(init=False)
    """Whether an address in the URL is of the IP version that is asked for."""
    plain_request: bytes | None = field(init=False)
    """What is sent without libcurl; None: it is libcurl's."""
    is_tls: bool = field(init=False)
    wants_certificate: bool = field(init=False)
    """Whether its certificate is part of the outcome."""

    def __post_init__(self) -> None:
        address = self.request.address
        self.has_right_version = address is None or (
            str(address.version) == self.probe.ip_version
        )
        self.plain_request = write_request(self.request)
        self.is_tls = self.request.is_tls
        self.wants_certificate = self.is_tls and self.probe.wants_certificate
