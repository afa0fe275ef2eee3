"""`argos config`: look at the config file."""

import click

from argos.commands.options import config_option, load_config


@click.group()
def config() -> None:
    """Look at the config file."""


@config.command()
@config_option
@click.option(
    "--strict",
    is_flag=True,
    help="Take unknown keys and recipients, repeated keys, and includes from outside, for"
    " faults.",
)
def check(config_path: str | None, *, strict: bool) -> None:
    """Check the config: print all faults and warnings, with their places."""
    from argos.server.plan import wanted_tasks

    loaded = load_config(config_path, shows_warnings=True, is_strict=strict)
    wanted = wanted_tasks(loaded.config)
    websites = _count(len(loaded.config.websites), "website")
    tasks = _count(len(wanted.tasks), "task")
    warnings = _count(len(loaded.warnings), "warning")
    click.echo(f"The config is fine: {websites} with {tasks}, {warnings}.")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
