"""What is sent for a request over plain HTTP/1.1, if it is one of the simple kind.

Whatever libcurl would treat in a way of its own is left to it.
"""

import re

from argos.agent.engine.request import DEFAULT_PORTS, Request
from argos.core.options import NO_OPTIONS

# Headers that change how the two ends talk to each other.
_LIBCURLS_OWN = frozenset({
    "connection",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
})
_USUAL_CONNECTION = ("Connection", "close")
# Segments of dots, which libcurl takes out of a path, and an empty query.
_find_odd_target = re.compile(r"/(?:\.|%2e)|\?$", re.IGNORECASE).search


def write_request(request: Request) -> bytes | None:
    """The bytes to send; None: it is not simple."""
    if (
        request.scheme != "http"
        or request.proxy is not None
        or request.connection is not NO_OPTIONS
        or request.is_tapped
        or request.host.endswith(".")
    ):
        return None
    authority = f"[{request.host}]" if ":" in request.host else request.host
    if request.port != DEFAULT_PORTS["http"]:
        authority += f":{request.port}"
    target = request.url.removeprefix(f"http://{authority}")
    if _find_odd_target(target) or not all(map(_is_simple, request.headers)):
        return None
    lines = [f"{request.method} {target} HTTP/1.1"]
    hosts = [value for name, value in request.headers if name.lower() == "host"]
    lines.append(f"Host: {hosts[0] if hosts else authority}")
    lines += [
        f"{name}: {value}" if value else f"{name}:"
        for name, value in request.headers
        if name.lower() not in {"host", "connection"}
    ]
    if request.body is not None:
        lines.append(f"Content-Length: {len(request.body)}")
    lines.append("Connection: close")
    head = "\r\n".join([*lines, "", ""])
    return head.encode() + (request.body or b"")


def _is_simple(header: tuple[str, str]) -> bool:
    name, value = header
    if name.lower() in _LIBCURLS_OWN and header != _USUAL_CONNECTION:
        return False
    # What only looks empty is taken for an order not to send the header.
    return value == value.strip() and (value != "" or name.lower() != "host")
