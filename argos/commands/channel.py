"""`argos channel`: the ways to send notices, and whether they work."""

import json

import click

from argos.commands.notifications import notice_options, send_test
from argos.commands.options import config_option, load_config
from argos.logs import configure_logging


@click.group()
def channel() -> None:
    """See and try the channels by which notices are sent."""


@channel.command("list")
@config_option
def list_(config_path: str | None) -> None:
    """List the channels of the config; each name is a recipient."""
    from argos.channels import list_setups

    general = load_config(config_path).config.general
    for setup in list_setups(general).values():
        count = len(setup.recipients)
        recipients = "1 recipient" if count == 1 else f"{count} recipients"
        click.echo(f"{setup.name}: {setup.kind.name}, {recipients}, {setup.language}")


@channel.command()
@config_option
@notice_options
@click.argument("name")
def test(config_path: str | None, name: str, domain: str, severity: str) -> None:
    """Send a test notice to each recipient of the channel NAME."""
    configure_logging("WARNING")
    config = load_config(config_path).config
    send_test(config, name, domain=domain, severity=severity)


@channel.command()
def schema() -> None:
    """Print the JSON schema of what webhooks are sent."""
    from argos.channels import webhook

    click.echo(json.dumps(webhook.schema(), indent=2))
