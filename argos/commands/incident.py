"""`argos incident`: what is wrong, who takes care of it, and what people say."""

import getpass
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from argos.commands.options import Number, config_option, configured_database

if TYPE_CHECKING:
    from argos.server.queries.incident_list import IncidentRow

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
@click.option(
    "--gathered",
    "is_gathered",
    is_flag=True,
    help="Those with one cause under the one that speaks for them.",
)
def list_(
    config_path: str | None, shows_all: bool, limit: int, is_gathered: bool
) -> None:
    """List incidents, newest first."""
    from argos.server.queries import gathering, incident_groups, incident_list
    from argos.server.queries.incident_list import IncidentSearch

    search = IncidentSearch(is_open=None if shows_all else True, limit=limit)
    look = incident_groups.list_leaders if is_gathered else incident_list.list_incidents
    with configured_database(config_path) as database, database.reading() as session:
        rows = look(session, search)[:limit]
        counts = gathering.count_members(session, leader_ids={row.id for row in rows})
        parents = {row.parent_id for row in rows if row.parent_id is not None}
        hosts = incident_list.list_hosts(session, incident_ids=parents)
        groups = (
            incident_groups.list_gathered(session, leader_ids=list(counts))
            if is_gathered
            else {}
        )
    for row in rows:
        _show(row, host=hosts.get(row.parent_id or 0), members=counts.get(row.id))
        group = groups.get(row.id)
        for child in group.children if group else ():
            _show(child, host=row.host, indent="  ")
        if group and (more := group.count - 1 - len(group.children)):
            click.echo(f"  and {more} more")


def _show(
    row: "IncidentRow",
    *,
    host: str | None,
    members: tuple[int, int] | None = None,
    indent: str = "",
) -> None:
    """Print an incident; `members` are how many it speaks for, itself included."""
    from argos.language import SOURCE_LANGUAGE, texts_in
    from argos.server.services.wording import cause_words

    count, still_open = members or (1, 0)
    common = row.common_with(host)
    cause = f" ({cause_words(common, texts_in(SOURCE_LANGUAGE))})" if common else ""
    notes = [
        "" if row.closed_at is None else "over",
        f"under {row.parent_id}{cause}" if row.parent_id else "",
        f"speaks for {count - 1} more, {still_open - (row.closed_at is None)} open"
        if count > 1
        else "",
        f"{row.acknowledged_by} takes care" if row.acknowledged_by else "",
    ]
    shown = ", ".join(filter(None, notes))
    click.echo(
        f"{indent}{row.id}  {row.opened_at:%Y-%m-%d %H:%M:%S} UTC  {row.severity}  "
        f"{row.host}  {row.check} (IPv{row.ip_version})"
        f"{f'  [{shown}]' if shown else ''}"
    )


@incident.command()
@config_option
@click.argument("number", type=click.IntRange(min=1))
@click.option(
    "--minutes",
    type=Number(min=0, min_open=True),
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
