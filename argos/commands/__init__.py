"""The command line. Commands parse, call a service, and print."""

import click

from argos import VERSION
from argos.commands.lazy import RootGroup


@click.group(
    cls=RootGroup,
    places={
        "agent": "argos.commands.agent:agent",
        "channel": "argos.commands.channel:channel",
        "check": "argos.commands.check:check",
        "config": "argos.commands.config:config",
        "incident": "argos.commands.incident:incident",
        "notice": "argos.commands.notice:notice",
        "silence": "argos.commands.silence:silence",
        "server": "argos.commands.server:server",
        "up": "argos.commands.up:up",
    },
)
def cli() -> None:
    """Argos watches websites, and tells you when they break."""


@cli.command()
def version() -> None:
    """Print Argos' version and exit."""
    click.echo(VERSION)
