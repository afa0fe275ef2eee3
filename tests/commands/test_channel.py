"""`argos channel` and `argos notice`."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from argos.server.database import Database
from argos.server.migrations.runner import migrate
from argos.server.models import Delivery, DeliveryState
from tests.commands.conftest import Run, write_config

CHANNELS = """\
  channels:
    tickets: {type: webhook, url: "http://127.0.0.1:9/canary"}
    crew: {type: mail, mailfrom: a@example.org, language: fr, addresses: [b@example.org, c@example.org]}
"""


@pytest.fixture
def dead(config: Path) -> list[int]:
    """Notices that were given up, in the config's database."""
    database = Database(f"sqlite:///{config.parent}/argos.db")
    migrate(database)
    now = datetime(2026, 3, 14, 12, tzinfo=UTC)
    with database.transaction() as session:
        rows = [
            Delivery(
                notice={"kind": "of a later version"},
                recipient="mail:canary@example.org",
                state=DeliveryState.DEAD,
                created_at=now,
                due_at=now,
                attempts=3,
                message_id=f"m{place}",
                last_error="no such user",
            )
            for place in range(2)
        ]
        session.add_all(rows)
        session.flush()
        ids = [row.id for row in rows]
    database.close()
    return ids


def test_channels_are_listed_by_the_names_of_their_recipients(
    argos: Run, config: Path
) -> None:
    write_config(config, general=CHANNELS)

    result = argos("channel", "list")

    assert result.stdout.splitlines() == [
        "local: local, 1 recipient, en",
        "tickets: webhook, 1 recipient, en",
        "crew: mail, 2 recipients, fr",
    ]


def test_a_channel_is_tested(argos: Run, config: Path) -> None:
    write_config(config, general=CHANNELS)

    fine = argos("channel", "test", "local")
    away = argos("channel", "test", "tickets", "--domain", "shop.example")

    assert (fine.exit_code, fine.stdout) == (0, "Sent to local\n")
    assert away.exit_code == 1
    assert away.stderr.startswith("Error: tickets: 127.0.0.1:9 cannot be reached")
    assert "canary" not in away.stderr


def test_a_channel_that_is_missing_is_one_line(argos: Run, config: Path) -> None:
    result = argos("channel", "test", "pigeon")

    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert "There is no recipient pigeon" in line


def test_the_schema_is_the_one_of_the_documentation(argos: Run) -> None:
    page = Path(__file__).parents[2] / "docs/reference/webhook.schema.json"

    printed = json.loads(argos("channel", "schema").stdout)

    assert printed == json.loads(page.read_text(encoding="utf-8"))


def test_what_was_given_up_is_listed_tried_again_and_dropped(
    argos: Run, dead: list[int]
) -> None:
    listed = argos("notice", "list").stdout.splitlines()
    retried = argos("notice", "retry", str(dead[0]))
    dropped = argos("notice", "drop", "--all")
    nothing = argos("notice", "retry", str(dead[1]))

    assert listed[0] == (
        f"{dead[1]}  2026-03-14 12:00:00 UTC  mail  dead, attempts: 3: no such user  "
        "[a notice of another version of Argos]"
    )
    assert "canary" not in "".join(listed)
    assert retried.stdout == "Notices to be tried again: 1\n"
    assert dropped.stdout == "Notices dropped: 1\n"
    assert nothing.exit_code == 1
    assert argos("notice", "list").stdout == ""
    assert "waiting" in argos("notice", "list", "--state", "waiting").stdout


@pytest.mark.parametrize("verb", ["retry", "drop"])
def test_which_notices_must_be_said(argos: Run, config: Path, verb: str) -> None:
    assert argos("notice", verb).exit_code == 2
    assert argos("notice", verb, "--all", "1").exit_code == 2
