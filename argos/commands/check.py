"""`argos check`: look at websites once, without a server."""

import sys
from typing import TYPE_CHECKING

import click

from argos.commands.options import config_option, load_config
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
    type=click.FloatRange(min=0.1, max=600),
    default=DEFAULT_TIMEOUT_S,
    show_default=True,
    help="Seconds that a probe of a URL may take as a whole.",
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
) -> None:
    """Probe websites once, from here, and show what comes of it.

    Of a URL given here the status and the certificate are checked; with --domain, all
    that the config wants of that website. No server is needed.

    The exit code is 0 (all is ok), 1 (the worst is a warning), 2 (something is
    critical) or 3 (nothing is critical, but something is unknown).
    """
    import asyncio

    from argos.commands import probing
    from argos.commands.check_report import print_findings, print_json

    configure_logging("WARNING")
    if bool(urls) == bool(domains):
        raise click.UsageError("Give URLs to probe, or --domain, but not both.")
    if urls:
        rules = probing.DEFAULT_RULES
        tasks = probing.tasks_of_urls(
            urls, ip_version=ip_version or "4", timeout_s=timeout_s
        )
    else:
        from argos.server.services.ingest import finalize_rules

        loaded = load_config(config_path)
        rules = finalize_rules(loaded.config)
        tasks = probing.tasks_of_domains(loaded, domains, ip_version=ip_version)
    findings = asyncio.run(probing.look(tasks, rules))
    (print_json if as_json else print_findings)(findings)
    sys.exit(
        exit_code({one.severity for found in findings for one in found.judgements})
    )


def exit_code(severities: "set[Severity]") -> int:
    """As Nagios has them; what is critical weighs more than what is unknown."""
    codes = {"critical": 2, "unknown": 3, "warning": 1}
    return next((code for name, code in codes.items() if name in severities), 0)
