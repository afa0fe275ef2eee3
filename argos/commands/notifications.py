"""`argos server test-…`: send a notice, to see whether it arrives."""

import contextlib
import secrets
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argos.commands.options import config_option, load_config
from argos.core.severity import Severity, Status
from argos.errors import ArgosError, DeliveryError
from argos.logs import configure_logging

if TYPE_CHECKING:
    from argos.channels import Notice

F = TypeVar("F", bound=Callable[..., Any])


def _notice_options(command: F) -> F:
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
@_notice_options
def test_mail(config_path: str | None, **told: str) -> None:
    """Send a test email."""
    _send(config_path, "mail", **told)


@click.command()
@config_option
@_notice_options
def test_gotify(config_path: str | None, **told: str) -> None:
    """Send a test gotify notification."""
    _send(config_path, "gotify", **told)


@click.command()
@config_option
@_notice_options
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
    """Send to each target of a recipient; one that fails stops no other."""
    from argos.channels import get_channel

    configure_logging("WARNING")
    general = load_config(config_path).config.general
    name, _, target = recipient.partition(":")
    if not getattr(general, name):
        raise ArgosError(_NOT_CONFIGURED[name])
    kind = get_channel(recipient)
    failures = 0
    for one in kind.targets(general, target):
        try:
            with contextlib.closing(kind.open(general, one)) as channel:
                channel.send(make_test_notice(**told))
        except DeliveryError as err:
            failures += 1
            click.echo(f"Error: {name}:{one}: {err}", err=True)
        else:
            click.echo(f"Sent to {name}:{one}")
    if failures:
        sys.exit(DeliveryError.exit_code)


def make_test_notice(*, domain: str, severity: str) -> "Notice":
    """A notice like that of a real incident."""
    from argos.channels import ICONS, Notice, NoticeKind
    from argos.clock import utcnow

    told = Severity(severity.lower())
    return Notice(
        message_id=f"test-{secrets.token_hex(8)}",
        kind=NoticeKind.CLOSED if told is Severity.OK else NoticeKind.OPENED,
        severity=told,
        at=utcnow(),
        title=f"{ICONS[told]} {domain} (IPv4): status {told}",
        lines=(
            ("URL", f"https://{domain}/ (IPv4)"),
            ("Check", "body-contains"),
            ("Status", told.value),
            ("Note", "This is a test: nothing happened to this website."),
        ),
        status=Status.SUCCESS if told is Severity.OK else Status.FAILURE,
    )
