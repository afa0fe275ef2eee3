"""`argos incident`."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from argos.core.cause import Cause
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


def test_incidents_with_one_cause_stand_under_the_one_that_speaks_for_them(
    argos: Run, config: Path, incident: int
) -> None:
    database = Database(f"sqlite:///{config.parent}/argos.db")
    with database.transaction() as session:
        for number in range(12):
            group = add_group(session, f"b{number}", due_at=NOON)
            session.add(
                Incident(
                    task_id=task_ids(session, group.id)[0],
                    opened_at=NOON,
                    closed_at=NOON if number == 0 else None,
                    severity=Severity.CRITICAL,
                    parent_id=incident,
                    cause=Cause.ADDRESS,
                    address="192.0.2.1 443 connect",
                )
            )
    database.close()

    flat = argos("incident", "list").stdout.splitlines()
    first, *children, last = argos("incident", "list", "--gathered").stdout.splitlines()

    cause = f"[under {incident} (same address 192.0.2.1 (connect))]"
    assert len(flat) == 12
    assert sum(line.endswith(cause) for line in flat) == 11
    assert first.endswith("[speaks for 12 more, 11 open]")
    assert first in flat
    assert len(children) == 10
    assert all(line.startswith("  ") and line.endswith(cause) for line in children)
    assert last == "  and 2 more"


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
