"""`argos up`: server and agent together, for one machine."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argos.commands.arguments import (
    check_name_servers,
    check_proxy_option,
    cpu_budget_option,
    name_server_option,
    proxy_option,
)
from argos.commands.options import (
    config_option,
    load_config,
    locate_config,
    log_level_option,
    open_database,
)
from argos.commands.server import listening_socket
from argos.commands.starter import ADMIN, add_first_user, write_starter_config
from argos.logs import configure_logging

if TYPE_CHECKING:
    from argos.agent.main import ArgosAgent
    from argos.server.settings import LoadedConfig


@dataclass(frozen=True, slots=True)
class _Ready:
    """What stands when the server can start."""

    path: Path
    loaded: "LoadedConfig"
    agent_token: str
    password: str | None
    """Of the user who was added at the first start."""


@dataclass(frozen=True, slots=True)
class _Probing:
    """The options on probing, as given."""

    slots: int
    name_servers: tuple[str, ...]
    proxy: str | None
    cpu_budget: float


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port to listen on; 0: any that is free.",
)
@click.option(
    "--slots",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="How many probes to have at work at once; one that has waited for its website "
    "for a second counts no more.",
)
@name_server_option
@proxy_option
@cpu_budget_option
@config_option
@click.option(
    "--allow-mass-removal",
    is_flag=True,
    help="Remove tasks even if they are more than ten and more than a fifth of all.",
)
@log_level_option
def up(
    host: str,
    port: int,
    *,
    config_path: str | None,
    allow_mass_removal: bool,
    log_level: str,
    **probing: Any,
) -> None:
    """Start everything at once: server, agent, and a database in this folder.

    The first start writes argos-config.yaml here, and shows the password of the user
    admin. Stop with Ctrl-C.
    """
    configure_logging(log_level)
    wishes = _Probing(**probing)
    check_name_servers(wishes.name_servers)
    check_proxy_option(wishes.proxy)
    with listening_socket(host, port) as listener:
        url = _url_of(listener)
        ready = _prepare(config_path, url, allow_mass_removal=allow_mass_removal)
        _greet(url, ready)
        agent = _make_agent(url, ready.agent_token, wishes)
        _run(listener, ready, agent)


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _prepare(config_path: str | None, url: str, *, allow_mass_removal: bool) -> _Ready:
    """Bring config, schema, tasks, the first user and the agent's token in place."""
    from argos.clock import utcnow
    from argos.server.migrations.runner import migrate
    from argos.server.services.agent_access import issue_token
    from argos.server.services.reconcile import reconcile

    path = _find_or_write_config(config_path, url)
    loaded = load_config(str(path), shows_warnings=True)
    database = open_database(loaded)
    try:
        migrate(database)
        reconcile(database, loaded, now=utcnow(), allow_mass_removal=allow_mass_removal)
        password = add_first_user(database, now=utcnow())
        # A name of its own: another agent of this machine keeps its token.
        token = issue_token(database, name=_agent_name(), now=utcnow())
    finally:
        database.close()
    return _Ready(path, loaded, token, password)


def _find_or_write_config(config_path: str | None, url: str) -> Path:
    from argos.agent.main import has_ipv6_route
    from argos.server.settings import CONFIG_VARIABLE, DEFAULT_NAME

    is_named = config_path or os.environ.get(CONFIG_VARIABLE)
    try:
        return locate_config(config_path, environ=os.environ)
    except click.UsageError:
        if is_named:
            raise
    path = Path.cwd() / DEFAULT_NAME
    write_starter_config(path, url=url, has_ipv6=has_ipv6_route())
    click.echo(f"Wrote {path}: change what you like there.")
    return path


def _agent_name() -> str:
    return f"up@{socket.gethostname()}"


def _make_agent(url: str, token: str, probing: _Probing) -> "ArgosAgent":
    from argos.agent.client import ClientSettings
    from argos.agent.engine import EngineSettings
    from argos.agent.engine.descriptors import most_probes
    from argos.agent.loop import LoopSettings
    from argos.agent.main import AgentSettings, ArgosAgent
    from argos.agent.slots import most_under_way

    under_way = most_under_way(probing.slots, workers=1, most_per_worker=most_probes())
    return ArgosAgent(
        AgentSettings(
            client=ClientSettings(
                url=url, token=token, name=_agent_name(), uses_proxy=False
            ),
            loop=LoopSettings(slots=probing.slots, most_under_way=under_way),
            engine=EngineSettings(
                slots=under_way,
                name_servers=probing.name_servers,
                proxy=probing.proxy,
            ),
            cpu_budget=probing.cpu_budget / 100,
            # Server and agent end together, so that nothing waits between them.
            spool_folder=None,
        )
    )


def _greet(url: str, ready: _Ready) -> None:
    click.echo(f"Argos is at {url}/ (config: {ready.path})")
    if ready.password is not None:
        click.echo(
            f"Log in as {ADMIN} with the password {ready.password} (shown this once)"
        )
    click.echo("Stop with Ctrl-C.")


def _run(listener: socket.socket, ready: _Ready, agent: "ArgosAgent") -> None:
    from argos.commands.serving import serve_with_agent
    from argos.server.main import get_application

    app = get_application(ready.loaded, config_path=ready.path)
    serve_with_agent(app, agent, listener)
