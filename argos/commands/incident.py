"""`argos incident`: what is wrong, who takes care of it, and what people say."""

import getpass
import sys
from datetime import timedelta

import click

from argos.commands.options import config_option, configured_database

_by_option = click.option(
    "--by", default="", help="Who says so. Default: the name of this machine's user."
)


@click.group()
def incident() -> None:
    """See incidents, take care of them, and write on them."""


@incident.command("list")
@config_option
@click.option("--all", "shows_all", is_flag=True, help="Those that are over, too.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="How many at most, the newest first.",
)
def list_(config_path: str | None, shows_all: bool, limit: int) -> None:
    """List incidents, newest first."""
    from argos.server.queries.incident_list import IncidentSearch, list_incidents

    search = IncidentSearch(is_open=None if shows_all else True, limit=limit)
    with configured_database(config_path) as database, database.reading() as session:
        rows = list_incidents(session, search)
    for row in rows[:limit]:
        notes = [
            "" if row.closed_at is None else "over",
            f"under {row.parent_id} ({row.cause})" if row.parent_id else "",
            f"{row.acknowledged_by} takes care" if row.acknowledged_by else "",
        ]
        shown = ", ".join(filter(None, notes))
        click.echo(
            f"{row.id}  {row.opened_at:%Y-%m-%d %H:%M:%S} UTC  {row.severity}  "
            f"{row.host}  {row.check} (IPv{row.ip_version})"
            f"{f'  [{shown}]' if shown else ''}"
        )


@incident.command()
@config_option
@click.argument("number", type=click.IntRange(min=1))
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=None,
    help="For so long. Default: until it ends.",
)
@click.option("--comment", default="", help="What there is to say.")
@_by_option
def ack(
    config_path: str | None,
    number: int,
    minutes: float | None,
    comment: str,
    by: str,
) -> None:
    """Take care of incident NUMBER, and of all that it belongs together with."""
    from argos.clock import system_clock
    from argos.server.services.acknowledgement import Word, acknowledge

    with configured_database(config_path) as database:
        count = acknowledge(
            database,
            system_clock,
            incident_id=number,
            word=Word(by or getpass.getuser(), comment),
            lasting=None if minutes is None else timedelta(minutes=minutes),
        )
    if not count:
        _fail("There is no such incident." if count is None else "It is over.")
    click.echo(f"Incidents taken care of: {count}")


@incident.command()
@config_option
@click.argument("number", type=click.IntRange(min=1))
@click.option("--comment", default="", help="What there is to say.")
@_by_option
def unack(config_path: str | None, number: int, comment: str, by: str) -> None:
    """Take it back that somebody takes care of incident NUMBER."""
    from argos.clock import system_clock
    from argos.server.services.acknowledgement import Word, withdraw

    word = Word(by or getpass.getuser(), comment)
    with configured_database(config_path) as database:
        count = withdraw(database, system_clock, incident_id=number, word=word)
    if not count:
        _fail(
            "There is no such incident."
            if count is None
            else "Nobody takes care of it, or it is over."
        )
    click.echo(f"Incidents nobody takes care of any more: {count}")


@incident.command()
@config_option
@click.argument("number", type=click.IntRange(min=1))
@click.argument("text")
@_by_option
def comment(config_path: str | None, number: int, text: str, by: str) -> None:
    """Write TEXT on incident NUMBER."""
    from argos.clock import system_clock
    from argos.server.services.acknowledgement import Word, comment

    word = Word(by or getpass.getuser(), text)
    with configured_database(config_path) as database:
        is_known = comment(database, system_clock, incident_id=number, word=word)
    if not is_known:
        _fail("There is no such incident.")
    click.echo("Written.")


def _fail(why: str) -> None:
    click.echo(why, err=True)
    sys.exit(1)
