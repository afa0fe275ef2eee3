"""The proxy by which a website is reached, and what its refusals mean."""

from dataclasses import dataclass, field
from urllib.parse import unquote

from argos.agent.engine.address import Address, read_address
from argos.core.options import NO_PROXY, check_proxy
from argos.core.probe import FailureKind

# What a SOCKS proxy says of the website (curl/curl.h, CURLproxycode): general failure,
# network or host unreachable, connection refused, TTL expired.
_SAID_OF_WEBSITE = frozenset({19, 20, 21, 22, 24})
_FIRST_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy is, and how to log in to it."""

    scheme: str
    host: str
    port: int
    is_trusted: bool = True
    """The administrator of the agent chose it, so that no policy judges its address."""
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def address(self) -> Address | None:
        """What it is given by instead of a name."""
        return read_address(self.host)

    @property
    def place(self) -> str:
        """It, as told to the user."""
        return f"{self.host} port {self.port}"

    def url_at(self, address: str) -> str:
        """Its URL with one of its addresses."""
        host = f"[{address}]" if ":" in address else address
        return f"{self.scheme}://{host}:{self.port}"


def find_proxy(wanted: str | None, agents_own: str | None) -> Proxy | None:
    """The proxy of a probe; None: it goes there directly."""
    url = agents_own if wanted is None else wanted
    if url is None or url == NO_PROXY:
        return None
    parts = check_proxy(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return Proxy(
        scheme=parts.scheme,
        host=parts.hostname,
        port=parts.port,
        is_trusted=wanted is None,
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )


def describe_silence(place: str, timeout: float) -> tuple[FailureKind, str]:
    """What it means that it neither opened a way in time nor refused to.

    Mostly that the website lets it wait.
    """
    kind = FailureKind.TIMEOUT
    return kind, f"The proxy {place} opened no way to the website within {timeout:g} s."


def describe_refusal(
    place: str, *, is_reached: bool, status: int, socks_code: int, reason: str
) -> tuple[FailureKind, str]:
    """What it means that no connection came about by a proxy.

    `status` is its answer to CONNECT, `socks_code` libcurl's word for that of a SOCKS
    proxy. That it is down, or does not want us, says nothing of the website.
    """
    if not is_reached:
        kind = FailureKind.INTERNAL
        return kind, f"The proxy {place} could not be reached: {reason}."
    if status >= _FIRST_SERVER_ERROR or socks_code in _SAID_OF_WEBSITE:
        kind = FailureKind.CONNECT
        return kind, f"The proxy {place} could not reach the website: {reason}."
    return (
        FailureKind.INTERNAL,
        f"The proxy {place} would not let us through: {reason}.",
    )
