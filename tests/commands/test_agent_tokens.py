"""`argos server agent-token`."""

import re
from pathlib import Path

import pytest

from tests.commands.conftest import Run

TOKEN = ("server", "agent-token")


def test_a_token_is_printed_once_and_listed_by_its_id(argos: Run, ready: Path) -> None:
    added = argos(*TOKEN, "add", "paris")
    listed = argos(*TOKEN, "list")

    match = re.fullmatch(r"argos_a_([0-9a-f]+)_([\w-]{32,})\n", added.stdout)
    assert match is not None
    assert listed.stdout == f"paris: token {match[1]}, last seen: never\n"
    assert match[2] not in listed.stdout


def test_a_second_token_takes_the_place_of_the_first(argos: Run, ready: Path) -> None:
    first = argos(*TOKEN, "add", "paris").stdout
    second = argos(*TOKEN, "add", "paris").stdout
    listed = argos(*TOKEN, "list").stdout

    assert first != second
    assert second.split("_")[2] in listed
    assert first.split("_")[2] not in listed


def test_a_revoked_token_stays_listed_as_such(argos: Run, ready: Path) -> None:
    argos(*TOKEN, "add", "paris")

    first = argos(*TOKEN, "revoke", "paris")
    second = argos(*TOKEN, "revoke", "paris")

    assert (first.exit_code, first.stdout) == (0, "Token of agent paris revoked.\n")
    assert (second.exit_code, second.stderr) == (
        1,
        "Agent paris has no token to revoke.\n",
    )
    assert ", revoked 2" in argos(*TOKEN, "list").stdout


@pytest.mark.parametrize("name", ["", " ", "a\x1bb", "x" * 500])
def test_what_cannot_be_a_name_is_refused(argos: Run, ready: Path, name: str) -> None:
    assert argos(*TOKEN, "add", name).exit_code == 2
