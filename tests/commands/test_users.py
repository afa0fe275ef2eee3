"""`argos server user`: outputs and exit codes are those of 0.10.3."""

from pathlib import Path

import pytest

from tests.commands.conftest import Run

PASSWORD = "correct horse"


@pytest.fixture
def joe(argos: Run, ready: Path) -> str:
    result = argos("server", "user", "add", "--name", "joe", "--password", PASSWORD)
    assert (result.exit_code, result.stdout) == (0, "User joe added.\n")
    return "joe"


def test_a_user_is_added_once(argos: Run, joe: str) -> None:
    result = argos("server", "user", "add", "--name", joe, "--password", PASSWORD)

    assert (result.exit_code, result.stderr) == (1, "User joe already exists.\n")


def test_name_and_password_are_asked_for(argos: Run, ready: Path) -> None:
    result = argos("server", "user", "add", input=f"ann\n{PASSWORD}\n{PASSWORD}\n")

    assert result.exit_code == 0
    assert "User ann added." in result.stdout
    assert PASSWORD not in result.output


def test_a_password_that_is_too_short_is_refused(argos: Run, ready: Path) -> None:
    result = argos("server", "user", "add", "--name", "ann", "--password", "short")

    assert result.exit_code == 1
    assert "too short" in result.stderr


@pytest.mark.parametrize(
    ("name", "password", "exit_code", "output"),
    [
        ("joe", PASSWORD, 0, "The provided password is correct.\n"),
        ("joe", "something else", 2, "Wrong password!\n"),
        ("ann", PASSWORD, 1, "User ann does not exist.\n"),
    ],
    ids=["right", "wrong", "missing"],
)
def test_a_password_is_verified(  # a table of four columns
    argos: Run, joe: str, name: str, password: str, exit_code: int, output: str
) -> None:
    result = argos(
        "server", "user", "verify-password", "--name", name, "--password", password
    )

    assert (result.exit_code, result.output) == (exit_code, output)


def test_a_changed_password_is_the_only_right_one(argos: Run, joe: str) -> None:
    user = ("server", "user")

    changed = argos(
        *user, "change-password", "--name", joe, "--password", "battery staple"
    )
    old = argos(*user, "verify-password", "--name", joe, "--password", PASSWORD)
    new = argos(*user, "verify-password", "--name", joe, "--password", "battery staple")

    assert (changed.exit_code, changed.stdout) == (0, "Password of user joe changed.\n")
    assert [old.exit_code, new.exit_code] == [2, 0]


def test_the_password_of_nobody_cannot_be_changed(argos: Run, ready: Path) -> None:
    result = argos(
        "server", "user", "change-password", "--name", "ann", "--password", PASSWORD
    )

    assert (result.exit_code, result.stderr) == (1, "User ann does not exist.\n")


@pytest.mark.parametrize(
    ("steps", "exit_code", "output"),
    [
        (["disable"], 0, "User joe disabled.\n"),
        (["disable", "disable"], 2, "User joe is already disabled.\n"),
        (["disable", "enable"], 0, "User joe enabled.\n"),
        (["enable"], 2, "User joe is already enabled.\n"),
        (["delete"], 0, "User joe deleted.\n"),
        (["delete", "delete"], 1, "User joe does not exist.\n"),
        (["delete", "disable"], 1, "User joe does not exist.\n"),
        (["delete", "enable"], 1, "User joe does not exist.\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_users_are_disabled_enabled_and_deleted(
    argos: Run, joe: str, steps: list[str], exit_code: int, output: str
) -> None:
    results = [argos("server", "user", step, "--name", joe) for step in steps]

    assert (results[-1].exit_code, results[-1].output) == (exit_code, output)


def test_users_are_listed_with_their_state(argos: Run, joe: str) -> None:
    argos("server", "user", "add", "--name", "ann", "--password", PASSWORD)
    argos("server", "user", "disable", "--name", "ann")

    result = argos("server", "user", "show")

    legend_1, legend_2, *lines = result.stdout.splitlines()
    assert legend_1.startswith("✅")
    assert legend_2.startswith("❌")
    assert lines == ["❌ ann, last login: None", "✅ joe, last login: None"]


def test_no_users_are_an_error(argos: Run, ready: Path) -> None:
    result = argos("server", "user", "show")

    assert (result.exit_code, result.stderr) == (
        1,
        "There is no users in database.\n",
    )
