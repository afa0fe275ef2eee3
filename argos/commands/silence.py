"""`argos silence`: leave people in peace for a while."""

import getpass
import sys
from collections.abc import Callable
from datetime import timedelta

import click

from argos.commands.options import F, config_option, configured_database

Values = tuple[str, ...]


@click.group()
def silence() -> None:
    """Leave people in peace for a while, by hand.

    Checks go on. When a silence ends, people are told of what holds then, if it is not
    what they were told last.
    """


def _condition(name: str, text: str) -> Callable[[F], F]:
    return click.option(f"--{name}", multiple=True, metavar="TEXT", help=text)


@silence.command()
@config_option
@_condition("website", "A host, domain or name; may hold * and ?. May be repeated.")
@_condition("url", "A URL. May be repeated.")
@_condition("group", "A group of websites. May be repeated.")
@_condition("tag", "A tag. May be repeated.")
@_condition("check", "The name of a check. May be repeated.")
@click.option("--for", "length", required=True, metavar="DURATION", help='As "2h".')
@click.option("--comment", default="", help="Why.")
@click.option(
    "--maintenance",
    is_flag=True,
    help="Something is worked on: the time is neither up nor down.",
)
@click.option("--broad", is_flag=True, help="Even if it is most of all websites.")
def add(  # noqa: PLR0913  # an option each
    config_path: str | None,
    website: Values,
    url: Values,
    group: Values,
    tag: Values,
    check: Values,
    length: str,
    comment: str,
    maintenance: bool,
    broad: bool,
) -> None:
    """Begin a silence now; print its number.

    All kinds of conditions that are given must hold; of one kind, one is enough.
    """
    from argos.clock import utcnow
    from argos.core.matching import Matcher
    from argos.durations import parse_duration
    from argos.server.models import SilenceKind
    from argos.server.queries.silences import NewSilence
    from argos.server.services.peace import add_silence

    duration: timedelta = parse_duration(length)
    now = utcnow()
    new = NewSilence(
        kind=SilenceKind.MAINTENANCE if maintenance else SilenceKind.SILENCE,
        matcher=Matcher(website, url, group, tag, check),
        starts_at=now,
        ends_at=now + duration,
        comment=comment,
        created_by=f"{getpass.getuser()} (command line)",
    )
    with configured_database(config_path) as database:
        click.echo(add_silence(database, new, now=now, is_broad_ok=broad))


@silence.command("list")
@config_option
def list_(config_path: str | None) -> None:
    """List the silences that hold, or will."""
    from argos.clock import utcnow
    from argos.server.services.peace import list_silences

    with configured_database(config_path) as database, database.reading() as session:
        for row in list_silences(session, now=utcnow()):
            until = f"{row.ends_at:%Y-%m-%d %H:%M} UTC"
            why = f": {row.comment}" if row.comment else ""
            click.echo(
                f"{row.id} {row.kind} of {row.matcher.describe()} until {until},"
                f" by {row.created_by}{why}"
            )


@silence.command()
@config_option
@click.argument("number", type=int)
def end(config_path: str | None, number: int) -> None:
    """End the silence NUMBER now."""
    from argos.clock import utcnow
    from argos.server.services.peace import end_silence

    with configured_database(config_path) as database:
        by = f"{getpass.getuser()} (command line)"
        is_ended = end_silence(database, id_=number, by=by, now=utcnow())
    if not is_ended:
        click.echo(f"There is no silence {number} to end.", err=True)
        sys.exit(1)
    click.echo(f"Silence {number} ended.")
