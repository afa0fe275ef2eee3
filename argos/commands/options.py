"""What several commands have in common: the config, the database, the log."""

import math
import os
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argos.errors import ConfigError
from argos.logs import configure_logging

if TYPE_CHECKING:
    from argos.server.database import Database
    from argos.server.settings import LoadedConfig

F = TypeVar("F", bound=Callable[..., Any])

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


class Number(click.FloatRange):
    """A number within bounds. NaN is none, though it lies beyond no bound."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def config_option(command: F) -> F:
    """`--config`: which file, or where it is looked for."""
    return click.option(
        "--config",
        "config_path",
        metavar="PATH",
        help="Path of the config file. Without it: the value of the variable "
        "ARGOS_YAML_FILE, else argos-config.yaml here, else /etc/argos/config.yaml.",
    )(command)


def log_level_option(command: F) -> F:
    """`--log-level`: from which level on to log."""
    return click.option(
        "--log-level",
        type=click.Choice(LOG_LEVELS, case_sensitive=False),
        default="info",
        show_default=True,
        help="Log from this level on.",
    )(command)


def load_config(
    config_path: str | None,
    *,
    shows_warnings: bool = False,
    is_strict: bool = False,
    environ: MutableMapping[str, str] | None = None,
) -> "LoadedConfig":
    """Find and read the config; a usage error when there is none to read.

    The path goes back into the environment, where server processes look for it.
    """
    from argos.server.settings import CONFIG_VARIABLE, read_config

    environment = os.environ if environ is None else environ
    path = locate_config(config_path, environ=environment)
    environment[CONFIG_VARIABLE] = str(path.absolute())
    loaded = read_config(path, strict=is_strict, environ=environment)
    if shows_warnings:
        for warning in loaded.warnings:
            click.echo(f"Warning: {warning}", err=True)
    return loaded


def locate_config(
    config_path: str | None, *, environ: MutableMapping[str, str]
) -> Path:
    """The config file to read; raises a usage error when there is none."""
    from argos.server.settings import find_config

    try:
        return find_config(config_path, environ, Path.cwd())
    except ConfigError as err:
        raise click.UsageError(str(err)) from err


def open_database(loaded: "LoadedConfig") -> "Database":
    """The database that the config names, neither connected nor looked at."""
    from argos.server.database import Database

    settings = loaded.config.general.db
    return Database(
        settings.url.get_secret_value(),
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
    )


@contextmanager
def ready_database(loaded: "LoadedConfig") -> Iterator["Database"]:
    """The database, once it is known to answer and to have the right schema."""
    from argos.server.migrations.revision import check_revision

    database = open_database(loaded)
    try:
        check_revision(database)
        yield database
    finally:
        database.close()


@contextmanager
def configured_database(config_path: str | None) -> Iterator["Database"]:
    """The database of a command that needs nothing else of the config."""
    configure_logging("WARNING")
    with ready_database(load_config(config_path)) as database:
        yield database
