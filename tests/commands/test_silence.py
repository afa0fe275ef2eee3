"""`argos silence`."""

from pathlib import Path

import pytest

from tests.commands.conftest import Run

HOUR = ("--for", "1h")


def test_a_silence_is_listed_until_it_ends(argos: Run, ready: Path) -> None:
    made = argos(
        "silence", "add", "--website", "shop.example.org", *HOUR, "--comment", "moving"
    )
    listed = argos("silence", "list").stdout
    ended = argos("silence", "end", "1")

    assert made.stdout == "1\n"
    assert listed.startswith("1 silence of website shop.example.org until 2")
    assert listed.endswith("(command line): moving\n")
    assert ended.stdout == "Silence 1 ended.\n"
    assert argos("silence", "list").stdout == ""


def test_maintenance_is_called_so(argos: Run, ready: Path) -> None:
    argos("silence", "add", "--tag", "shop", "--tag", "blog", *HOUR, "--maintenance")

    listed = argos("silence", "list").stdout
    assert listed.startswith("1 maintenance of tag shop or blog until 2")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (HOUR, "This would silence everything"),
        (("--website", "*", *HOUR), "This would silence everything"),
        (("--tag", "a", "--for", "5 years"), "92 days at most"),
        (("--tag", "a", "--for", "soon"), "'soon'"),
    ],
)
def test_what_would_be_too_much_is_refused(
    argos: Run, ready: Path, options: tuple[str, ...], message: str
) -> None:
    answer = argos("silence", "add", *options)

    assert answer.exit_code == 1
    assert message in answer.stderr
    assert argos("silence", "list").stdout == ""


def test_what_is_not_there_cannot_be_ended(argos: Run, ready: Path) -> None:
    answer = argos("silence", "end", "7")

    assert (answer.exit_code, answer.stderr) == (
        1,
        "There is no silence 7 to end.\n",
    )
