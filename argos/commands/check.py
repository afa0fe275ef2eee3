"""`argos check`: look at websites once, without a server."""

import sys
from typing import TYPE_CHECKING, Any

import click

from argos.commands.options import Number, config_option, load_config
from argos.logs import configure_logging

if TYPE_CHECKING:
    from argos.core.severity import Severity

DEFAULT_TIMEOUT_S = 30.0


@click.command()
@click.argument("urls", metavar="[URL]...", nargs=-1)
@config_option
@click.option(
    "--domain",
    "domains",
    multiple=True,
    help="Do the config's checks of this website; may be repeated.",
)
@click.option(
    "--ip-version",
    type=click.Choice(["4", "6"]),
    default=None,
    help="Use this IP version only. Default: 4 for URLs, what the config says for "
    "--domain.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=Number(min=0.1, max=600),
    default=DEFAULT_TIMEOUT_S,
    show_default=True,
    help="Seconds that a probe of a URL may take as a whole.",
)
@click.option(
    "--http-version",
    type=click.Choice(["1.1", "auto", "2", "2-prior-knowledge", "3"]),
    default=None,
    help="What to ask for. Default: 1.1.",
)
@click.option(
    "--follow",
    type=click.IntRange(0, 10),
    default=None,
    help="Follow so many redirects at most. Default: 0.",
)
@click.option(
    "--tls-min",
    type=click.Choice(["1.0", "1.1", "1.2", "1.3"]),
    default=None,
    help="The oldest version of TLS that will do. Default: 1.2.",
)
@click.option(
    "--all-addresses",
    is_flag=True,
    default=None,
    help="Probe every address of a name.",
)
@click.option(
    "--proxy",
    metavar="URL",
    default=None,
    envvar="ARGOS_AGENT_PROXY",
    help="Go by this proxy, http://host:port or socks5h://host:port.",
)
@click.option(
    "--name-server",
    metavar="ADDRESS",
    default=None,
    help="Resolve names by this server, such as 9.9.9.9.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    urls: tuple[str, ...],
    config_path: str | None,
    *,
    domains: tuple[str, ...],
    ip_version: str | None,
    timeout_s: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Probe websites once, from here, and show what comes of it.

    Of a URL given here the status and the certificate are checked; with --domain, all
    that the config wants of that website, with the options that the config gives it. No
    server is needed.

    The exit code is 0 (all is ok), 1 (the worst is a warning), 2 (something is
    critical) or 3 (nothing is critical, but something is unknown).
    """
    import asyncio

    from argos.commands import probing
    from argos.commands.check_report import print_findings, print_json

    configure_logging("WARNING")
    if bool(urls) == bool(domains):
        raise click.UsageError("Give URLs to probe, or --domain, but not both.")
    wanted = _checked(options)
    if urls:
        rules = probing.DEFAULT_RULES
        tasks = probing.tasks_of_urls(
            urls,
            ip_version=ip_version or "4",
            timeout_s=timeout_s,
            options=wanted,
        )
    elif wanted and set(wanted) != {"proxy"}:
        raise click.UsageError("With --domain the config has the options of probes.")
    else:
        from argos.server.services.judging import finalize_rules

        loaded = load_config(config_path)
        rules = finalize_rules(loaded.config)
        tasks = probing.tasks_of_domains(loaded, domains, ip_version=ip_version)
    findings = asyncio.run(probing.look(tasks, rules))
    (print_json if as_json else print_findings)(findings)
    sys.exit(
        exit_code({one.severity for found in findings for one in found.judgements})
    )


def _checked(options: dict[str, Any]) -> dict[str, Any] | None:
    """The probe options that were given; a usage error where they are of no use."""
    from argos.commands.arguments import check_name_servers, check_proxy_option

    given = {name: value for name, value in options.items() if value is not None}
    check_proxy_option(given.get("proxy"))
    check_name_servers(tuple(filter(None, [given.get("name_server")])))
    return given or None


def exit_code(severities: "set[Severity]") -> int:
    """As Nagios has them; what is critical weighs more than what is unknown."""
    codes = {"critical": 2, "unknown": 3, "warning": 1}
    return next((code for name, code in codes.items() if name in severities), 0)
