"""From a probe to what is really sent, or the reason why it is not.

The URL is taken apart and put together again from parts that were checked, so that no
two parsers can read it in two ways. Nothing here raises for what a user wrote: the
probe in question fails, others go on.
"""

import base64
import re
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote, unquote_to_bytes

from argos.agent.engine.address import Address, read_address
from argos.agent.engine.body import ACCEPT_ENCODING
from argos.agent.engine.proxy import Proxy, find_proxy
from argos.core.options import NO_OPTIONS, ProbeOptions
from argos.core.probe import Probe

METHODS = frozenset({
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
})
# Sent with "Content-Length: 0" when there is no data.
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URL_LENGTH = 8192

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_URL = re.compile(
    r"""
    (?P<scheme> https?) ://
    (?: (?P<user> [^/?#\\]*) @ )?
    (?: \[ (?P<v6> [0-9a-f:.]*) \] | (?P<name> [^/?#@:\[\]\\]*) )
    (?: : (?P<port> [0-9]{0,5}) )?
    (?P<target> (?: [/?] [^#]* )?)
    (?: \# .* )?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SCHEME = re.compile(r"https?:", re.IGNORECASE)
_NAME = re.compile(
    r"(?!.{254})[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
    r"(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?"
)
# What resolvers of old read as an IPv4 address: 127.1, 0x7f000001, 017700000001 …
_ODD_NUMBER = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)\.?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
# Reserved characters and "%" stay as they are; the rest becomes UTF-8 in percents.
_SAFE_IN_TARGET = "!$%&'()*+,/:;=?@[]~"
_SAFE_TARGET = re.compile(r"[!$%&'()*+,/:;=?@\[\]~0-9A-Za-z_.-]*")


class ProbeRefusedError(ValueError):
    """Our own rules forbid this probe."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that may be sent, but for its address, which the policy judges."""

    url: str
    scheme: str
    host: str
    """In lower case and ASCII; an IPv6 address without its brackets."""
    port: int
    address: Address | None
    """What the URL names instead of a host; None: a name, to be resolved."""
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    connection: ProbeOptions = NO_OPTIONS
    """Of its options those that are about the connection."""
    proxy: Proxy | None = None
    is_tapped: bool = False
    """Whether its handshake is listened to."""

    @property
    def place_to_find(self) -> str:
        """The name of what we connect to: the website, or the proxy before it."""
        return self.host if self.proxy is None else self.proxy.host

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"


def prepare_request(
    probe: Probe, *, user_agent: str, proxy: str | None = None
) -> Request:
    """Check a probe and fill in our own headers; `proxy` is the agent's own.

    Raises ProbeRefusedError, with a sentence for the user.
    """
    if probe.method == "CONNECT":
        raise ProbeRefusedError("CONNECT asks for a tunnel; it cannot be probed.")
    if probe.method not in METHODS:
        raise ProbeRefusedError(f"The method {probe.method!r} is unknown.")
    if probe.method == "HEAD" and probe.body:
        raise ProbeRefusedError("A HEAD request cannot carry data.")
    parts = _split(probe.url)
    scheme = parts["scheme"].lower()
    host, address = _read_host((parts["v6"] or parts["name"] or "").lower())
    port = _read_port(parts["port"], scheme)
    return Request(
        url=_join(scheme, host, port, parts["target"]),
        scheme=scheme,
        host=host,
        port=port,
        address=address,
        method=probe.method,
        headers=_headers(probe, parts["user"], user_agent),
        body=b"" if probe.body is None and probe.method in _WITH_BODY else probe.body,
        connection=_connection_options(probe.options),
        proxy=find_proxy(probe.options.proxy, proxy),
        is_tapped=probe.wants_handshake and scheme == "https",
    )


def _connection_options(options: ProbeOptions) -> ProbeOptions:
    if options is NO_OPTIONS:
        return options
    own = ProbeOptions(
        http_version=options.http_version,
        tls_min=options.tls_min,
        client_certificate=options.client_certificate,
    )
    return NO_OPTIONS if own == NO_OPTIONS else own


def _split(url: str) -> re.Match[str]:
    if len(url) > MAX_URL_LENGTH:
        raise ProbeRefusedError(f"The URL is longer than {MAX_URL_LENGTH} characters.")
    if _CONTROL.search(url):
        raise ProbeRefusedError("The URL has a control character in it.")
    if not _SCHEME.match(url):
        raise ProbeRefusedError("Only http:// and https:// URLs can be probed.")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise ProbeRefusedError("The URL cannot be read.")
    return parts


def _read_port(text: str | None, scheme: str) -> int:
    if not text:
        return DEFAULT_PORTS[scheme]
    port = int(text)
    if not 0 < port < 65536:
        raise ProbeRefusedError(f"There is no port {port}.")
    return port


def _read_host(host: str) -> tuple[str, Address | None]:
    """The host in its one canonical form, and the address if it is one."""
    is_number = host[-1:].isdigit() or ":" in host
    address = read_address(host) if is_number else None
    if address is not None:
        return str(address), address
    if _ODD_NUMBER.fullmatch(host):
        raise ProbeRefusedError(
            f'The host "{host}" is a number; write an IPv4 address as four decimals.'
        )
    if not host.isascii():
        return _read_host(_to_ascii(host))
    if not _NAME.fullmatch(host):
        raise ProbeRefusedError(f"The host {host!r} is not a name or an address.")
    return host, None


def _to_ascii(name: str) -> str:
    # Imported here: most agents never meet such a name, and it takes 1 MB.
    import idna

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError as err:
        raise ProbeRefusedError(f"The host {name!r} is not a name: {err}.") from err


def _join(scheme: str, host: str, port: int, target: str) -> str:
    authority = f"[{host}]" if ":" in host else host
    if port != DEFAULT_PORTS[scheme]:
        authority += f":{port}"
    if not target.startswith("/"):
        target = f"/{target}"
    if not _SAFE_TARGET.fullmatch(target):
        # A lone surrogate has no UTF-8; it becomes "?" rather than an exception.
        target = quote(target, safe=_SAFE_IN_TARGET, errors="replace")
    return f"{scheme}://{authority}{target}"


def _headers(
    probe: Probe, user: str | None, user_agent: str
) -> tuple[tuple[str, str], ...]:
    own = _own_headers(user_agent)
    authorization = probe.options.authorization
    if user is None and authorization is None and not probe.headers:
        return own
    headers = {name.lower(): (name, value) for name, value in own}
    if user is not None:
        headers["authorization"] = ("Authorization", _basic(user))
    if authorization is not None:
        _check_header("Authorization", authorization)
        headers["authorization"] = ("Authorization", authorization)
    for name, value in probe.headers.items():
        _check_header(name, value)
        headers[name.lower()] = (name, value)
    # The engine knows the length of what it sends better than anybody.
    headers.pop("content-length", None)
    return tuple(headers.values())


@cache
def _own_headers(user_agent: str) -> tuple[tuple[str, str], ...]:
    return (
        ("User-Agent", user_agent),
        ("Accept", "*/*"),
        ("Accept-Encoding", ACCEPT_ENCODING),
        ("Connection", "close"),
    )


def _check_header(name: str, value: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise ProbeRefusedError(f"{name!r} is not the name of a header.")
    if _FORBIDDEN_IN_HEADER.search(value):
        raise ProbeRefusedError(
            f"The header {name} has a control character in its value."
        )
    if name.lower() == "transfer-encoding":
        raise ProbeRefusedError("The header Transfer-Encoding cannot be set.")


def _basic(user: str) -> str:
    """User and password of the URL as a header, so that no URL carries them on."""
    name, _, password = user.partition(":")
    pair = unquote_to_bytes(name) + b":" + unquote_to_bytes(password)
    return "Basic " + base64.b64encode(pair).decode("ascii")
