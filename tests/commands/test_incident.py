"""`argos incident`."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from argos.core.severity import Severity
from argos.server.database import Database
from argos.server.migrations.runner import migrate
from argos.server.models import Incident
from tests.commands.conftest import Run
from tests.server.factories import add_group, task_ids

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.fixture
def incident(config: Path) -> int:
    """An open incident in the config's database."""
    database = Database(f"sqlite:///{config.parent}/argos.db")
    migrate(database)
    with database.transaction() as session:
        group = add_group(session, "a", due_at=NOON)
        row = Incident(
            task_id=task_ids(session, group.id)[0],
            opened_at=NOON,
            severity=Severity.CRITICAL,
        )
        session.add(row)
        session.flush()
        number = row.id
    database.close()
    return number


def test_incidents_are_listed_acknowledged_and_commented(
    argos: Run, incident: int
) -> None:
    before = argos("incident", "list").stdout
    acknowledged = argos("incident", "ack", str(incident), "--by", "ada")
    commented = argos("incident", "comment", str(incident), "Soon", "--by", "ada")
    after = argos("incident", "list").stdout

    line = f"{incident}  2026-03-14 12:00:00 UTC  critical  https://a.example.org/"
    assert before == f"{line}  status-is (IPv4)\n"
    assert acknowledged.stdout == "Incidents taken care of: 1\n"
    assert commented.stdout == "Written.\n"
    assert after == f"{line}  status-is (IPv4)  [ada takes care]\n"


def test_what_somebody_took_care_of_is_given_back(argos: Run, incident: int) -> None:
    argos("incident", "ack", str(incident), "--by", "ada")

    given_back = argos("incident", "unack", str(incident), "--by", "ada")
    again = argos("incident", "unack", str(incident))

    assert given_back.stdout == "Incidents nobody takes care of any more: 1\n"
    assert "takes care" not in argos("incident", "list").stdout
    assert again.exit_code == 1
    assert again.stderr == "Nobody takes care of it, or it is over.\n"


@pytest.mark.parametrize("verb", ["ack", "unack", "comment"])
def test_an_incident_that_is_missing_is_one_line(
    argos: Run, incident: int, verb: str
) -> None:
    more = ["text"] if verb == "comment" else []

    result = argos("incident", verb, str(incident + 1), *more)

    assert result.exit_code == 1
    assert result.stderr == "There is no such incident.\n"
