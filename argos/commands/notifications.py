"""`argos server test-…`: send a notice, to see whether it arrives."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argos.commands.options import config_option, load_config
from argos.core.severity import Severity
from argos.errors import ArgosError, DeliveryError
from argos.logs import configure_logging

if TYPE_CHECKING:
    from argos.schemas import Config

F = TypeVar("F", bound=Callable[..., Any])


def notice_options(command: F) -> F:
    for option in (
        click.option(
            "--severity",
            type=click.Choice([one.upper() for one in Severity], case_sensitive=False),
            default="CRITICAL",
            show_default=True,
            help="The severity to tell of.",
        ),
        click.option(
            "--domain",
            default="example.org",
            show_default=True,
            help="The website to tell of.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@config_option
@notice_options
def test_mail(config_path: str | None, **told: str) -> None:
    """Send a test email."""
    _send(config_path, "mail", **told)


@click.command()
@config_option
@notice_options
def test_gotify(config_path: str | None, **told: str) -> None:
    """Send a test gotify notification."""
    _send(config_path, "gotify", **told)


@click.command()
@config_option
@notice_options
@click.option("--apprise-group", required=True, help="The group of Apprise URLs.")
def test_apprise(config_path: str | None, apprise_group: str, **told: str) -> None:
    """Send a test apprise notification."""
    _send(config_path, f"apprise:{apprise_group}", **told)


_NOT_CONFIGURED = {
    "mail": "Mail is not configured, cannot test",
    "gotify": "Gotify notifications are not configured, cannot test",
    "apprise": "Apprise notifications are not configured, cannot test",
}
"""In the words of 0.10.3."""


def _send(config_path: str | None, recipient: str, **told: str) -> None:
    configure_logging("WARNING")
    config = load_config(config_path).config
    name = recipient.partition(":")[0]
    if not getattr(config.general, name):
        raise ArgosError(_NOT_CONFIGURED[name])
    send_test(config, recipient, **told)


def send_test(config: "Config", name: str, *, domain: str, severity: str) -> None:
    """Send to each target of a channel, and print how it went."""
    from argos.server.services.channel_trial import Sample, try_channel

    sample = Sample(domain=domain, severity=Severity(severity.lower()))
    trials = try_channel(config, name, sample)
    for trial in trials:
        if trial.error is None:
            click.echo(f"Sent to {trial.recipient}")
        else:
            click.echo(f"Error: {trial.recipient}: {trial.error}", err=True)
    if any(trial.error is not None for trial in trials):
        sys.exit(DeliveryError.exit_code)
