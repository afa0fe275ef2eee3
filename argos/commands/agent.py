"""`argos agent`: lease tasks from a server, probe, report."""

import gc
import logging
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argos.commands.arguments import (
    check_ca_file,
    check_name_servers,
    check_proxy_option,
    check_references,
    check_server_url,
    check_user_agent,
    cpu_budget_option,
    is_http_url,
    name_server_option,
    proxy_option,
)
from argos.commands.options import Number, log_level_option
from argos.logs import configure_logging

if TYPE_CHECKING:
    from argos.agent.engine.address import Policy
    from argos.agent.main import AgentSettings, ArgosAgent
    from argos.agent.outage import OutageSettings

log = logging.getLogger(__name__)

GC_THRESHOLDS = (20_000, 20, 20)

DEFAULT_SLOTS = 100


@click.command()
@click.argument("server_url", envvar="ARGOS_AGENT_SERVER_URL")
@click.argument("auth", envvar="ARGOS_AGENT_TOKEN", required=False)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read the token from this file, so that no process list shows it.",
)
@click.option(
    "--slots",
    "--max-tasks",
    type=click.IntRange(1, 10_000),
    default=DEFAULT_SLOTS,
    show_default=True,
    help="How many probes to have at work at once; one that has waited for its website "
    "for a second counts no more.",
)
@click.option(
    "--wait-time",
    type=Number(min=0.1),
    default=10,
    show_default=True,
    help="Seconds between two polls of a server that cannot hold a call, and the "
    "longest pause after a failed one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=None,
    help="Processes that probe. Default: one less than there are cores.",
)
@cpu_budget_option
@log_level_option
@click.option(
    "--name",
    default="",
    help="The agent's name, when its token does not name it. Default: the host name.",
)
@click.option(
    "--location",
    default="",
    help="Where the agent stands, such as a town or a provider. A new problem is looked "
    "at again from another location, where there is an agent, and websites whose "
    "`locations` name it are watched from here.",
)
@click.option(
    "--user-agent", default="", help="A text to append to the User-Agent headers."
)
@click.option(
    "--ipv6/--no-ipv6",
    "has_ipv6",
    default=None,
    help="Take IPv6 tasks or none. Default: take them while there is a route.",
)
@click.option(
    "--spool-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Where results wait while the server is away. Default: a folder of the user's.",
)
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False),
    default=None,
    help="PEM file of the authorities that may vouch for the server.",
)
@click.option(
    "--probe-ca-file",
    type=click.Path(exists=True, dir_okay=False),
    default=None,
    help="PEM file of the authorities that may vouch for websites.",
)
@name_server_option
@proxy_option
@click.option(
    "--outage-url",
    metavar="URL",
    default=None,
    envvar="ARGOS_AGENT_OUTAGE_URL",
    help="Post a JSON document here, once, when the server cannot be reached for long, "
    "and once when it is back.",
)
@click.option(
    "--outage-after",
    type=Number(min=0.1),
    default=10,
    show_default=True,
    help="For how many minutes it cannot be reached then.",
)
@click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="URL",
    envvar="ARGOS_AGENT_REFERENCES",
    help="A place that answers as long as this agent's network works; may be repeated. "
    "While none does, what fails is the agent's fault.",
)
@click.option("--public-only", is_flag=True, help="Probe nothing but public addresses.")
@click.option(
    "--allow",
    "--allow-network",
    multiple=True,
    metavar="NETWORK",
    help="An exception to --public-only, or a metadata address; may be repeated.",
)
@click.option(
    "--deny",
    "--deny-network",
    multiple=True,
    metavar="NETWORK",
    help="Never probe addresses of this network; may be repeated.",
)
def agent(**given: Any) -> None:
    """Get and run tasks for the provided server. Will wait for new tasks.

    Usage: argos agent https://argos.example.org "auth-token-here"

    Alternatively, you can use the following environment variables to avoid passing
    arguments to the agent on the command line:

    \b
        ARGOS_AGENT_SERVER_URL=https://argos.example.org
        ARGOS_AGENT_TOKEN=auth-token-here
    """
    wishes = _Wishes(**given)
    configure_logging(wishes.log_level)
    settings = _make_settings(wishes, os.environ)
    click.echo("Starting argos agent. Will retry forever.")
    run_agent(settings)


@dataclass(frozen=True, slots=True)
class _Wishes:
    """The command's arguments, as given."""

    server_url: str
    auth: str | None
    token_file: Path | None
    slots: int
    wait_time: float
    workers: int | None
    cpu_budget: float
    log_level: str
    name: str
    location: str
    user_agent: str
    has_ipv6: bool | None
    spool_dir: Path | None
    ca_file: str | None
    probe_ca_file: str | None
    name_servers: tuple[str, ...]
    proxy: str | None
    outage_url: str | None
    outage_after: float
    references: tuple[str, ...]
    public_only: bool
    allow: tuple[str, ...]
    deny: tuple[str, ...]


def _make_settings(wishes: _Wishes, environ: Mapping[str, str]) -> "AgentSettings":
    from argos.agent.client import ClientSettings
    from argos.agent.engine import EngineSettings
    from argos.agent.engine.descriptors import most_probes
    from argos.agent.loop import LoopSettings
    from argos.agent.main import AgentSettings
    from argos.agent.slots import most_under_way

    user_agent = check_user_agent(wishes.user_agent)
    suffix = f" - {user_agent}" if user_agent else ""
    workers = wishes.workers or max(1, (os.cpu_count() or 1) - 1)
    under_way = most_under_way(
        wishes.slots, workers=workers, most_per_worker=most_probes()
    )
    return AgentSettings(
        client=ClientSettings(
            url=check_server_url(wishes.server_url),
            token=_read_token(wishes),
            name=wishes.name or socket.gethostname(),
            user_agent_suffix=suffix,
            ca_file=check_ca_file("--ca-file", wishes.ca_file),
        ),
        loop=LoopSettings(
            slots=wishes.slots,
            most_under_way=under_way,
            wait_s=wishes.wait_time,
            location=wishes.location.strip() or None,
        ),
        engine=EngineSettings(
            workers=workers,
            slots=-(-under_way // workers),
            ca_file=check_ca_file("--probe-ca-file", wishes.probe_ca_file),
            user_agent_suffix=suffix,
            policy=_make_policy(wishes),
            name_servers=check_name_servers(wishes.name_servers),
            proxy=check_proxy_option(wishes.proxy),
        ),
        spool_folder=wishes.spool_dir or default_spool_folder(environ),
        has_ipv6=wishes.has_ipv6,
        outage=_make_outage(wishes),
        references=check_references(wishes.references),
        cpu_budget=wishes.cpu_budget / 100,
    )


def _make_outage(wishes: _Wishes) -> "OutageSettings | None":
    """Whom to tell that the server is gone; a usage error if it is no URL."""
    from argos.agent.outage import OutageSettings

    if wishes.outage_url is None:
        return None
    if not is_http_url(wishes.outage_url):
        raise click.UsageError(
            "--outage-url must be a URL, such as https://chat.example.org/hooks/x."
        )
    return OutageSettings(wishes.outage_url, wishes.outage_after * 60)


def _read_token(wishes: _Wishes) -> str:
    token = wishes.auth
    if wishes.token_file is not None:
        token = wishes.token_file.read_text(encoding="utf-8", errors="replace")
    token = (token or "").strip()
    if not token:
        raise click.UsageError(
            "There is no token: give it as AUTH, in the variable ARGOS_AGENT_TOKEN, or "
            "in the file that --token-file names."
        )
    if not token.isascii() or not token.isprintable():
        raise click.UsageError("The token holds characters that no token has.")
    return token


def _make_policy(wishes: _Wishes) -> "Policy":
    from argos.agent.engine.address import Policy

    try:
        return Policy.from_texts(
            allow=wishes.allow, deny=wishes.deny, public_only=wishes.public_only
        )
    except ValueError as err:
        raise click.UsageError(
            f"--allow and --deny take networks such as 10.0.0.0/8: {err}."
        ) from err


def default_spool_folder(environ: Mapping[str, str]) -> Path | None:
    """Where systemd, or else the user, keeps such things; None: nowhere."""
    if state := environ.get("STATE_DIRECTORY"):
        return Path(state.split(":")[0]) / "spool"
    if base := environ.get("XDG_STATE_HOME"):
        return Path(base) / "argos" / "agent"
    if home := environ.get("HOME"):
        return Path(home) / ".local" / "state" / "argos" / "agent"
    return None


def run_agent(settings: "AgentSettings") -> None:
    """Run an agent until a signal ends it: softly the first, at once the second."""
    import asyncio

    from argos.agent.main import ArgosAgent

    agent = ArgosAgent(settings)
    # What is loaded by now stays. Of what comes later most ends without the collector,
    # which looked in vain for a tenth of the CPU.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    asyncio.run(_run_until_signal(agent))


async def _run_until_signal(agent: "ArgosAgent") -> None:
    import asyncio

    loop = asyncio.get_running_loop()
    seen: list[int] = []

    def end(number: int) -> None:
        if seen:
            # Workers notice by their pipes that nobody is there any more.
            os._exit(128 + number)
        seen.append(number)
        log.info("Stopping; a second signal stops at once.")
        agent.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    await agent.run()
