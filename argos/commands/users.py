"""`argos server user`: who may log in."""

import sys

import click

from argos.commands.options import config_option, configured_database

name_option = click.option("--name", required=True, help="The user's name.")
prompted_name_option = click.option("--name", prompt=True, help="The user's name.")
new_password_option = click.option(
    "--password",
    prompt=True,
    confirmation_prompt=True,
    hide_input=True,
    help="Asked for when it is not given; a process list shows what is given here.",
)


@click.group()
def user() -> None:
    """User management."""


@user.command()
@config_option
@prompted_name_option
@new_password_option
def add(config_path: str | None, name: str, password: str) -> None:
    """Add new user."""
    from argos.clock import utcnow
    from argos.server.queries import users
    from argos.server.services import passwords

    passwords.check_new_password(password)
    with (
        configured_database(config_path) as database,
        database.transaction() as session,
    ):
        if users.get_user(session, name) is not None:
            _fail(f"User {name} already exists.")
        users.add_user(
            session,
            username=name,
            password_hash=passwords.hash_password(password),
            now=utcnow(),
        )
    click.echo(f"User {name} added.")


@user.command()
@config_option
@prompted_name_option
@new_password_option
def change_password(config_path: str | None, name: str, password: str) -> None:
    """Change a user's password, and end the user's sessions."""
    from argos.clock import utcnow
    from argos.server.queries import users
    from argos.server.services import passwords

    passwords.check_new_password(password)
    password_hash = passwords.hash_password(password)
    with (
        configured_database(config_path) as database,
        database.transaction() as session,
    ):
        is_changed = users.set_password(
            session, username=name, password_hash=password_hash, now=utcnow()
        )
    if not is_changed:
        _fail_missing(name)
    click.echo(f"Password of user {name} changed.")


@user.command()
@config_option
@name_option
@click.option("--password", prompt=True, hide_input=True, help="The password to test.")
def verify_password(config_path: str | None, name: str, password: str) -> None:
    """Test a user's password."""
    from argos.server.queries import users
    from argos.server.services import passwords

    with configured_database(config_path) as database, database.reading() as session:
        found = users.get_user(session, name)
    if found is None:
        _fail_missing(name)
    elif not passwords.verify_password(password, found.password):
        _fail("Wrong password!", exit_code=2)
    click.echo("The provided password is correct.")


@user.command()
@config_option
@name_option
def disable(config_path: str | None, name: str) -> None:
    """Disable a user, and end the user's sessions."""
    _set_disabled(config_path, name, is_disabled=True)


@user.command()
@config_option
@name_option
def enable(config_path: str | None, name: str) -> None:
    """Enable a user."""
    _set_disabled(config_path, name, is_disabled=False)


def _set_disabled(config_path: str | None, name: str, *, is_disabled: bool) -> None:
    from argos.clock import utcnow
    from argos.server.queries import users

    word = "disabled" if is_disabled else "enabled"
    with (
        configured_database(config_path) as database,
        database.transaction() as session,
    ):
        is_changed = users.set_disabled(
            session, username=name, disabled=is_disabled, now=utcnow()
        )
        exists = users.get_user(session, name) is not None
    if not exists:
        _fail_missing(name)
    if not is_changed:
        _fail(f"User {name} is already {word}.", exit_code=2)
    click.echo(f"User {name} {word}.")


@user.command()
@config_option
@name_option
def delete(config_path: str | None, name: str) -> None:
    """Delete a user."""
    from argos.server.queries import users

    with (
        configured_database(config_path) as database,
        database.transaction() as session,
    ):
        is_deleted = users.delete_user(session, username=name)
    if not is_deleted:
        _fail_missing(name)
    click.echo(f"User {name} deleted.")


@user.command()
@config_option
def show(config_path: str | None) -> None:
    """List all users."""
    from argos.server.queries import users

    with configured_database(config_path) as database, database.reading() as session:
        found = users.list_users(session)
    if not found:
        _fail("There is no users in database.")  # the words of 0.10.3
    click.echo("✅ means that the user is enabled.")
    click.echo("❌ means that the user is disabled.")
    for one in found:
        icon = "❌" if one.disabled else "✅"
        click.echo(f"{icon} {one.username}, last login: {one.last_login_at}")


def _fail_missing(name: str) -> None:
    _fail(f"User {name} does not exist.")


def _fail(message: str, *, exit_code: int = 1) -> None:
    click.echo(message, err=True)
    sys.exit(exit_code)
