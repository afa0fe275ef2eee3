"""`argos server agent-token`: tokens that belong to one agent each."""

import sys

import click

from argos.commands.options import config_option, configured_database


@click.group()
def agent_token() -> None:
    """Manage tokens that belong to one agent each.

    Such a token names its agent, and can be revoked without touching the others.
    """


@agent_token.command()
@config_option
@click.argument("name")
def add(config_path: str | None, name: str) -> None:
    """Make a token for the agent NAME, and print it this once.

    If the agent has one already, that one stops to work within seconds.
    """
    from argos.clock import utcnow
    from argos.server.services.agent_access import agent_name, issue_token

    if not name.strip() or agent_name(name) != name:
        raise click.UsageError("This cannot be the name of an agent.")
    with configured_database(config_path) as database:
        click.echo(issue_token(database, name=name, now=utcnow()))


@agent_token.command("list")
@config_option
def list_(config_path: str | None) -> None:
    """List the agents with their kinds of tokens."""
    from argos.server.queries.agents import list_agents

    with configured_database(config_path) as database, database.reading() as session:
        for agent in list_agents(session):
            if agent.token_id is None:
                kind = "a shared secret"
            elif agent.revoked_at is None:
                kind = f"token {agent.token_id}"
            else:
                kind = f"token {agent.token_id}, revoked {agent.revoked_at:%Y-%m-%d}"
            seen = agent.last_seen_at
            moment = f"{seen:%Y-%m-%d %H:%M:%S} UTC" if seen else "never"
            click.echo(f"{agent.name}: {kind}, last seen: {moment}")


@agent_token.command()
@config_option
@click.argument("name")
def revoke(config_path: str | None, name: str) -> None:
    """Make the token of the agent NAME worthless, within seconds."""
    from argos.clock import utcnow
    from argos.server.services.agent_access import revoke_token

    with configured_database(config_path) as database:
        is_revoked = revoke_token(database, name=name, now=utcnow())
    if not is_revoked:
        click.echo(f"Agent {name} has no token to revoke.", err=True)
        sys.exit(1)
    click.echo(f"Token of agent {name} revoked.")
