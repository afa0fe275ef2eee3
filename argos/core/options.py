"""What a website's config may ask of its probes, beyond URL, method and data.

A server hands options out as a JSON document that holds what is not default; an agent
reads them here. Whoever meets an option that it does not know must not probe: the answer
would be one to another question.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

MAX_FOLLOWED = 10
"""Redirects that a probe follows at most."""
NO_PROXY = "none"
"""As a proxy: none at all, not even the agent's own."""
PROXY_SCHEMES = ("http", "socks5h")


_BRACKETED = re.compile(r"\[([^\]]*)\](?::(.+))?")


class HTTPVersion(StrEnum):
    """Which versions of HTTP a probe offers."""

    AUTO = "auto"
    """2 and 1.1 over TLS, for the website to choose from; 1.1 over plain http."""
    V1_1 = "1.1"
    V2 = "2"
    """2; over TLS a website may still choose 1.1, which the answer tells."""
    V2_PRIOR_KNOWLEDGE = "2-prior-knowledge"
    """2 from the first byte on, over plain http as well; nothing else."""
    V3 = "3"
    """3 over QUIC; where that leads nowhere 2 or 1.1, which the answer tells."""


class TLSVersion(StrEnum):
    """Versions of TLS, in ascending order."""

    V1_0 = "1.0"
    V1_1 = "1.1"
    V1_2 = "1.2"
    V1_3 = "1.3"


DEFAULT_HTTP_VERSION = HTTPVersion.V1_1
DEFAULT_TLS_MIN = TLSVersion.V1_2


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """How a probe shows who it is; the paths are those of the agent's machine."""

    cert: str
    key: str | None = None
    """None: the key is in the same file."""
    password: str | None = field(default=None, repr=False)
    """Of the key, where it has one."""


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How a probe differs from the usual one."""

    http_version: HTTPVersion = DEFAULT_HTTP_VERSION
    follow: int = 0
    """Redirects to follow at most."""
    tls_min: TLSVersion = DEFAULT_TLS_MIN
    authorization: str | None = field(default=None, repr=False)
    """The value of the header."""
    client_certificate: ClientCertificate | None = None
    proxy: str | None = field(default=None, repr=False)
    """A URL, or NO_PROXY; None: what the agent was started with."""
    name_server: str | None = None
    """An address, with a port or without; None: the agent's own."""
    all_addresses: bool = False
    """Probe every address of the name, not the first that answers."""


NO_OPTIONS = ProbeOptions()


class OptionsError(ValueError):
    """Options that this agent cannot serve, or that are none."""


def read_options(document: Mapping[str, Any]) -> ProbeOptions:
    """Read what a server hands out; raises OptionsError, with a sentence for the user.

    Secrets never stand in the message.
    """
    unknown = sorted(document.keys() - _READERS.keys())
    if unknown:
        raise OptionsError(
            f"This agent does not know the probe option {', '.join(unknown)}:"
            " it is older than the server."
        )
    values: dict[str, Any] = {}
    for name, value in document.items():
        try:
            field_name, values_of = _READERS[name]
            values[field_name] = values_of(value)
        except (KeyError, TypeError, ValueError) as err:
            if isinstance(err, OptionsError):
                raise
            raise OptionsError(
                f"This agent cannot make use of the probe option {name}:"
                " its value is of an unknown kind."
            ) from err
    return ProbeOptions(**values)


def check_proxy(url: str) -> SplitResult:
    """The parts of a proxy's URL; raises ValueError, without the URL in it."""
    parts = urlsplit(url)
    if parts.scheme not in PROXY_SCHEMES:
        raise ValueError(
            "must begin with http:// or socks5h:// (of SOCKS, the kind that looks names"
            " up itself)"
        )
    try:
        has_place = bool(parts.hostname) and bool(parts.port)
    except ValueError:
        has_place = False
    if not has_place or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("must be a host and a port, such as http://192.0.2.1:3128")
    return parts


def check_name_server(text: str) -> str:
    """An address, with a port or without, as given; raises ValueError."""
    try:
        split_name_server(text)
    except ValueError as err:
        raise ValueError(
            "must be an address, with a port or without, such as 9.9.9.9,"
            " 127.0.0.1:5353 or [2620:fe::fe]:53"
        ) from err
    return text


def split_name_server(text: str) -> tuple[IPv4Address | IPv6Address, int]:
    """The address and port; raises ValueError."""
    host, port = text, "53"
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed is not None:
        host, port = bracketed[1], bracketed[2] or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(port)
    return ip_address(host), int(port)


def _read_auth(value: Mapping[str, Any]) -> str:
    ((kind, secret),) = value.items()
    if kind == "bearer":
        return f"Bearer {_text(secret)}"
    if kind != "basic":
        raise OptionsError(
            f"This agent does not know the kind of auth {kind}:"
            " it is older than the server."
        )
    pair = f"{_text(secret['username'])}:{_text(secret['password'])}"
    return "Basic " + base64.b64encode(pair.encode("utf-8", "replace")).decode("ascii")


def _read_client_certificate(value: Mapping[str, Any]) -> ClientCertificate:
    return ClientCertificate(**{name: _text(text) for name, text in value.items()})


def _read_follow(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_FOLLOWED:
        raise ValueError(value)
    return value


def _read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _read_proxy(value: object) -> str:
    url = _text(value)
    if url != NO_PROXY:
        check_proxy(url)
    return url


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "http_version": ("http_version", HTTPVersion),
    "follow": ("follow", _read_follow),
    "tls_min": ("tls_min", TLSVersion),
    "auth": ("authorization", _read_auth),
    "client_certificate": ("client_certificate", _read_client_certificate),
    "proxy": ("proxy", _read_proxy),
    "name_server": ("name_server", lambda value: check_name_server(_text(value))),
    "all_addresses": ("all_addresses", _read_flag),
}
