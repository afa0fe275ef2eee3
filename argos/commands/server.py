"""`argos server`: run the server, and prepare what it runs on."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argos.commands.lazy import LazyGroup
from argos.commands.options import (
    config_option,
    load_config,
    locate_config,
    log_level_option,
    open_database,
    ready_database,
)
from argos.errors import ArgosError
from argos.logs import configure_logging, logging_settings

if TYPE_CHECKING:
    from argos.server.settings import LoadedConfig

FACTORY = "argos.server.main:get_application"


@click.group(
    cls=LazyGroup,
    places={
        "agent-token": "argos.commands.agent_tokens:agent_token",
        "nagios": "argos.commands.nagios:nagios",
        "test-apprise": "argos.commands.notifications:test_apprise",
        "test-gotify": "argos.commands.notifications:test_gotify",
        "test-mail": "argos.commands.notifications:test_mail",
        "user": "argos.commands.users:user",
    },
)
def server() -> None:
    """Manage the server, its config and its users."""


@server.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port to listen on; 0: any that is free.",
)
@config_option
@click.option("--reload", is_flag=True, help="Start anew when the source changes.")
@click.option("--migrate", is_flag=True, help="Bring the schema up to date first.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that serve.",
)
@click.option(
    "--forwarded-allow-ips",
    default="127.0.0.1,::1",
    show_default=True,
    help="Proxies that are believed about where requests come from.",
)
@click.option("--access-log", is_flag=True, help="Log each request.")
@log_level_option
def start(
    config_path: str | None, *, migrate: bool, host: str, port: int, **given: Any
) -> None:
    """Start the server."""
    configure_logging(given["log_level"])
    path = locate_config(config_path, environ=os.environ)
    loaded = load_config(str(path), shows_warnings=True)
    if migrate:
        _migrate(loaded)
    with ready_database(loaded):
        pass  # a refusal in one line, instead of a server that does not start
    with listening_socket(host, port) as listener:
        if not given["reload"] and given["workers"] == 1:
            _serve(path, loaded, listener, **given)
            return
        port = listener.getsockname()[1]
    _serve_by_several(host, port, **given)


def _serve(
    path: Path, loaded: "LoadedConfig", listener: socket.socket, **given: Any
) -> None:
    from argos.commands.serving import serve
    from argos.server.main import get_application

    app = get_application(loaded, config_path=path)
    serve(
        app,
        listener,
        access_log=given["access_log"],
        forwarded_allow_ips=given["forwarded_allow_ips"],
    )


def _serve_by_several(host: str, port: int, *, log_level: str, **given: Any) -> None:
    """Let uvicorn start the processes, which find the config by the environment."""
    import uvicorn

    settings = logging_settings(log_level)
    uvicorn.run(
        FACTORY, factory=True, host=host, port=port, log_config=settings, **given
    )


@contextlib.contextmanager
def listening_socket(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens there; raises ArgosError, in one line, when it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as err:
        listener.close()
        raise ArgosError(
            f"Cannot listen on {host} port {port}: {err.strerror or err}. Is Argos "
            "running already? Choose another one with --host or --port."
        ) from err
    with listener:
        yield listener


@server.command()
@config_option
@click.option(
    "--enqueue/--no-enqueue",
    default=False,
    help="Let the running server apply the config, within seconds. Default: apply it "
    "now.",
)
@click.option(
    "--allow-mass-removal",
    is_flag=True,
    help="Remove tasks even if they are more than ten and more than a fifth of all.",
)
def reload_config(
    config_path: str | None, *, enqueue: bool, allow_mass_removal: bool
) -> None:
    """Make the tasks in the database match the config."""
    from argos.clock import utcnow
    from argos.server.services.reconcile import reconcile

    configure_logging("WARNING")
    loaded = load_config(config_path, shows_warnings=True)
    with ready_database(loaded) as database:
        if enqueue:
            _enqueue(database)
            return
        counts = reconcile(
            database, loaded, now=utcnow(), allow_mass_removal=allow_mass_removal
        )
    if counts is None:
        click.echo("Config has not change")  # the words of 0.10.3
        return
    click.echo(f"{counts.deleted} task(s) deleted")
    click.echo(f"{counts.added} task(s) added")
    click.echo(f"{counts.updated} task(s) updated")


def _enqueue(database: Any) -> None:
    from argos.server.queries.duties import add_reload_job
    from argos.server.settings import CONFIG_VARIABLE

    with database.transaction() as session:
        is_new = add_reload_job(session, path=os.environ[CONFIG_VARIABLE])
    if is_new:
        click.echo("Config reloading has been added in the job queue")
    else:
        click.echo(
            "There is already a config reloading job in the job queue, for the same file"
        )


@server.command()
@config_option
@click.option(
    "--to",
    "revision",
    default="head",
    show_default=True,
    help="The revision to reach, forth or back.",
)
@click.option(
    "--legacy-timezone",
    default=None,
    metavar="ZONE",
    help="The time zone in which Argos 0.10 wrote its times, such as Europe/Paris. "
    "Default: this machine's.",
)
def migrate(
    config_path: str | None, *, revision: str, legacy_timezone: str | None
) -> None:
    """Bring the database schema up to date."""
    configure_logging()
    _migrate(load_config(config_path), revision=revision, legacy_zone=legacy_timezone)


def _migrate(loaded: "LoadedConfig", **options: Any) -> None:
    from argos.server.migrations.runner import migrate as bring_up_to_date

    with contextlib.closing(open_database(loaded)) as database:
        bring_up_to_date(database, **options)


@server.command()
def generate_token() -> None:
    """Generate a token, which can be used as an agent's authentication token.

    It is a UUID, to be listed in the config as one of service.secrets. A token of its own
    for each agent, which can be revoked, comes from `argos server agent-token add`.
    """
    import secrets
    import uuid

    click.echo(uuid.UUID(int=secrets.randbits(128), version=4))


@server.command()
def generate_config() -> None:
    """Output a self-documented example config file.

    Redirect the output to a file to save it:

        argos server generate-config > /etc/argos/config.yaml
    """
    import secrets
    from importlib.resources import files

    example = (files("argos") / "config-example.yaml").read_text(encoding="utf-8")
    # A secret that is printed in every example would be none.
    click.echo(example.replace("put-a-random-text-here", secrets.token_urlsafe(32)))


@server.command(hidden=True)
@config_option
@click.option("--time-without-agent", type=int)
def watch_agents(config_path: str | None, time_without_agent: int | None) -> None:  # noqa: ARG001  # accepted for old crontabs
    """Do nothing: the running server watches its agents (deprecated)."""
    click.echo(
        "`argos server watch-agents` does nothing any more: the server watches its "
        "agents itself (recurring_tasks.time_without_agent). Remove it from your crontab.",
        err=True,
    )


@server.command(hidden=True)
@config_option
@click.option("--max-results", type=int)
@click.option("--max-lock-seconds", type=int)
def cleandb(config_path: str | None, **limits: int | None) -> None:  # noqa: ARG001  # accepted for old crontabs
    """Do nothing: the running server cleans up (deprecated)."""
    click.echo(
        "`argos server cleandb` does nothing any more: the server cleans up itself "
        "(recurring_tasks.max_results_age). Remove it from your crontab.",
        err=True,
    )
