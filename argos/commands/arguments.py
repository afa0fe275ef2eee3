"""What an agent is given on the command line, and whether it can be used."""

import logging
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from argos.commands.options import Number

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


def name_server_option(command: F) -> F:
    """`--name-server`: who resolves the names of websites."""
    return click.option(
        "--name-server",
        "name_servers",
        multiple=True,
        metavar="ADDRESS",
        help="Resolve names by this server, such as 9.9.9.9; may be repeated.",
    )(command)


def proxy_option(command: F) -> F:
    """`--proxy`: by what websites are reached."""
    return click.option(
        "--proxy",
        metavar="URL",
        default=None,
        envvar="ARGOS_AGENT_PROXY",
        help="Reach websites by this proxy, http://host:port or socks5h://host:port, "
        "unless the config says otherwise.",
    )(command)


def cpu_budget_option(command: F) -> F:
    """`--cpu-budget`: how much of the machine probing may take."""
    return click.option(
        "--cpu-budget",
        type=Number(min=1, max=100),
        default=50,
        show_default=True,
        help="Per cent of the cores that the agent may use; over it, it takes on less, "
        "so that its times stay true.",
    )(command)


def check_references(urls: tuple[str, ...]) -> tuple[str, ...]:
    """The references, if an agent can ask them; a usage error otherwise."""
    for url in urls:
        if not is_http_url(url):
            raise click.UsageError(
                f"--reference must be a URL, such as https://example.org, not {url!r}."
            )
    return urls


def is_http_url(text: str) -> bool:
    """Whether a text is a URL that leads to a host."""
    try:
        parts = urlsplit(text)
        is_whole = bool(parts.hostname) and parts.port != 0
        return parts.scheme in {"http", "https"} and is_whole
    except ValueError:
        return False


def check_server_url(url: str) -> str:
    """The URL, if an agent can use it; a usage error otherwise."""
    if not is_http_url(url):
        raise click.UsageError(
            f"{url!r} is not the URL of a server; it looks like "
            "https://argos.example.org."
        )
    parts = urlsplit(url)
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        log.warning(
            "The token goes to %s unencrypted: anybody on the way can read it. "
            "Use https.",
            parts.netloc.rpartition("@")[2],
        )
    return url


def check_ca_file(option: str, path: str | None) -> str | None:
    """The file, if it holds certificates; a usage error otherwise."""
    import ssl

    try:
        if path is not None:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as err:
        raise click.UsageError(
            f"{option} must be a PEM file of certificates, which {path} is not."
        ) from err
    return path


def check_user_agent(text: str) -> str:
    """The text, if it can stand in a header; a usage error otherwise."""
    if not text.isprintable():
        raise click.UsageError("--user-agent holds characters that no header may have.")
    return text


def check_name_servers(servers: tuple[str, ...]) -> tuple[str, ...]:
    """The name servers, if they are some; a usage error otherwise."""
    from argos.core.options import check_name_server

    try:
        return tuple(check_name_server(server) for server in servers)
    except ValueError as err:
        raise click.UsageError(f"--name-server {err}.") from err


def check_proxy_option(url: str | None) -> str | None:
    """The proxy, if it is one; a usage error otherwise, without its password."""
    from argos.core.options import check_proxy

    try:
        if url is not None:
            check_proxy(url)
    except ValueError as err:
        raise click.UsageError(f"--proxy {err}.") from err
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
