"""`argos notice`: who was told what, and what could not be told."""

import sys

import click

from argos.commands.options import config_option, configured_database

STATES = ("all", "waiting", "sent", "dead")


@click.group()
def notice() -> None:
    """See what was told to whom, and deal with what could not be delivered."""


@notice.command("list")
@config_option
@click.option(
    "--state",
    type=click.Choice(STATES),
    default="dead",
    show_default=True,
    help="Which ones; dead: those that were given up.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="How many at most, the newest first.",
)
def list_(config_path: str | None, state: str, limit: int) -> None:
    """List notices, newest first."""
    from argos.server.models import DeliveryState
    from argos.server.queries.delivery_list import DeliveryFilter, list_deliveries
    from argos.server.services.undelivered import describe_state, subject_of

    with configured_database(config_path) as database, database.reading() as session:
        lines = list_deliveries(session, shown=DeliveryFilter(state), limit=limit)
    for line in lines[:limit]:
        why = f": {line.last_error}" if line.last_error else ""
        if line.state is DeliveryState.HELD and line.held_by:
            why = f": kept back by {line.held_by}"
        click.echo(
            f"{line.id}  {line.created_at:%Y-%m-%d %H:%M:%S} UTC  {line.recipient}  "
            f"{describe_state(line)}, attempts: {line.attempts}{why}  "
            f"[{subject_of(line)}]"
        )


@notice.command()
@config_option
@click.argument("ids", nargs=-1, type=click.IntRange(min=1))
@click.option("--all", "takes_all", is_flag=True, help="All that were given up.")
def retry(config_path: str | None, ids: tuple[int, ...], takes_all: bool) -> None:
    """Try notices again that were given up, by their numbers IDS."""
    from argos.clock import system_clock
    from argos.server.services import undelivered

    chosen = _chosen(ids, takes_all=takes_all)
    with configured_database(config_path) as database:
        _tell(
            undelivered.retry(database, system_clock, ids=chosen), "to be tried again"
        )


@notice.command()
@config_option
@click.argument("ids", nargs=-1, type=click.IntRange(min=1))
@click.option("--all", "takes_all", is_flag=True, help="All that were given up.")
def drop(config_path: str | None, ids: tuple[int, ...], takes_all: bool) -> None:
    """Take notices off the list that were given up, by their numbers IDS."""
    from argos.clock import system_clock
    from argos.server.services import undelivered

    chosen = _chosen(ids, takes_all=takes_all)
    with configured_database(config_path) as database:
        _tell(undelivered.drop(database, system_clock, ids=chosen), "dropped")


def _chosen(ids: tuple[int, ...], *, takes_all: bool) -> tuple[int, ...] | None:
    if takes_all == bool(ids):
        raise click.UsageError("Give the numbers of notices, or --all.")
    return None if takes_all else ids


def _tell(count: int, what: str) -> None:
    if not count:
        click.echo("No such notice was given up.", err=True)
        sys.exit(1)
    click.echo(f"Notices {what}: {count}")
