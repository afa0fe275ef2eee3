"""Groups that load a command when it is asked for, and the edge where errors end."""

from collections.abc import Mapping
from importlib import import_module
from typing import IO, Any

import click

from argos.errors import ArgosError, ConfigError

CONFIG_HEADING = "Errors where found while reading configuration:"
"""As 0.10.3 words it; scripts may look for it."""


class LazyGroup(click.Group):
    """A group whose commands stand in other modules, loaded one by one."""

    def __init__(
        self, *arguments: Any, places: Mapping[str, str], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._places = places
        """Name to `module:attribute`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self._places])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._places.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


class RootGroup(LazyGroup):
    """The outermost group: what is the user's to mend ends here, in a line or two."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ArgosError, OSError) as err:
            raise CommandError(err) from err


class CommandError(click.ClickException):
    """An error on its way to standard error, with its exit code."""

    def __init__(self, err: Exception) -> None:
        super().__init__(str(err))
        code = err.exit_code if isinstance(err, ArgosError) else 1
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance
        self._is_of_config = isinstance(err, ConfigError)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error: one line, or for a config one for each fault."""
        if not self._is_of_config:
            super().show(file)
            return
        click.echo(CONFIG_HEADING, file=file, err=file is None)
        click.echo(self.message, file=file, err=file is None)
