"""`argos server nagios`: a report for Nagios and what understands it."""

import sys
from collections.abc import Mapping

import click

from argos.commands.options import config_option, configured_database
from argos.core.severity import Severity

_ORDER = (Severity.OK, Severity.WARNING, Severity.CRITICAL, Severity.UNKNOWN)


@click.command()
@config_option
def nagios(config_path: str | None) -> None:
    """Output a report of current severities suitable for Nagios.

    The exit code is 0 (all is ok), 1 (something is in warning state), 2 (something is in
    critical state), or 3 (nothing is critical, but something is unknown).
    """
    from argos.server.queries.overview import count_severities

    with configured_database(config_path) as database, database.reading() as session:
        counts = count_severities(session)
    text, exit_code = describe(counts)
    click.echo(text)
    sys.exit(exit_code)


def describe(counts: Mapping[Severity, int]) -> tuple[str, int]:
    """The report, word for word as 0.10.3 has it, and the exit code.

    Unlike there, the figures are filled in when all is ok, and unknown is Nagios' 3.
    """
    figures = " ".join(f"{severity}={counts.get(severity, 0)};" for severity in _ORDER)
    present = {
        severity: f"{count} sites are in {severity} state"
        for severity, count in counts.items()
        if count and severity is not Severity.OK
    }
    match present:
        case {Severity.CRITICAL: critical, Severity.UNKNOWN: unknown}:
            word, state, code = "CRITICAL/UNKNOWN", f"{critical} and {unknown}", 2
        case {Severity.CRITICAL: critical}:
            word, state, code = "CRITICAL", critical, 2
        case {Severity.UNKNOWN: unknown}:
            word, state, code = "UNKNOWN", unknown, 3
        case {Severity.WARNING: warning}:
            word, state, code = "WARNING", warning, 1
        case _:
            word, state, code = "OK", "All sites are ok", 0
    return f"{word} — {state}|{figures}", code
