"""Incidents, events and deliveries: who is told what, and once."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import delete, select, update

from argos.core.incident import EventKind
from argos.core.severity import Severity
from argos.server.models import Delivery, Event, Incident, Schedule, Task
from argos.server.queries.leases import lease_groups
from argos.server.services.ingest import ingest
from tests.server.factories import add_group

STATUS = {"o": "success", "c": "failure", "u": "error"}


@pytest.fixture
def group(database, now) -> Schedule:
    with database.transaction() as session:
        return add_group(session, "a", due_at=now)


def run(database, config, now, statuses: str, **context: Any) -> None:
    """One run after another, a minute apart."""
    for place, letter in enumerate(statuses):
        moment = now + timedelta(minutes=place)
        with database.transaction() as session:
            session.execute(update(Schedule).values(due_at=moment, leased_at=None))
            tasks = lease_groups(
                session, agent="anna", pools=[0], limit=500, now=moment
            ).read_tasks()
        items = [
            {
                "task_id": task.id,
                "status": STATUS[letter],
                "context": context,
                "lease_no": task.lease_no,
                "leased_at": moment.isoformat(),
                "elapsed_us": 0,
            }
            for task in tasks
        ]
        answer = ingest(database, agent="anna", items=items, config=config, now=moment)
        assert answer.refused == []


def rows(database, model) -> list[Any]:
    with database.reading() as session:
        return list(session.scalars(select(model).order_by(model.id)))


def kinds(database) -> list[str]:
    return [event.kind.value for event in rows(database, Event)]


def test_first_ok_is_silent(database, config, now, group):
    run(database, config, now, "oo")

    assert rows(database, Event) == rows(database, Incident) == []


def test_problem_opens_one_incident_and_recovery_closes_it(
    database, config, now, group
):
    run(database, config, now, "occo", reason="status 500")

    incident = rows(database, Incident)[0]
    opened, closed = rows(database, Event)
    minute = timedelta(minutes=1)
    assert len(rows(database, Incident)) == 1
    assert incident.opened_at == now + minute
    assert incident.closed_at == now + 3 * minute
    assert incident.severity is Severity.CRITICAL
    assert (opened.kind, opened.seq, opened.at) == ("opened", 1, now + minute)
    assert (opened.severity, opened.previous_severity) == ("critical", "ok")
    assert (opened.reason, opened.status) == ("confirmed", "failure")
    assert opened.facts == {"reason": "status 500"}
    assert (closed.kind, closed.seq, closed.at) == ("closed", 2, now + 3 * minute)
    assert (closed.severity, closed.previous_severity) == ("ok", "critical")
    assert closed.incident_id == opened.incident_id == incident.id
    assert rows(database, Task)[0].event_count == 2


def test_incident_becomes_worse_once(database, config, now, group):
    run(database, config, now, "ucuco")

    incident = rows(database, Incident)[0]
    assert kinds(database) == ["opened", "worsened", "closed"]
    assert incident.severity is Severity.CRITICAL
    assert incident.closed_at is not None


def test_retries_are_waited_for_and_the_incident_begins_with_the_first_failure(
    database, config, now, group
):
    with database.transaction() as session:
        session.execute(update(Task).values(retry_before_notification=2))

    run(database, config, now, "ococcoccc")

    incident = rows(database, Incident)[0]
    assert kinds(database) == ["opened"]
    assert incident.opened_at == now + timedelta(minutes=6)
    assert rows(database, Event)[0].at == now + timedelta(minutes=8)
    assert rows(database, Event)[0].previous_severity == "ok"


def test_of_a_task_that_is_new_nobody_knew_anything(database, config, now, group):
    run(database, config, now, "c")

    assert rows(database, Event)[0].previous_severity == "unknown"


def test_a_recovery_that_was_waited_for_names_what_was_told(
    database, config, now, group
):
    with database.transaction() as session:
        session.execute(update(Task).values(recoveries_before_notification=1))

    run(database, config, now, "ocoo")

    assert kinds(database) == ["opened", "closed"]
    assert rows(database, Event)[1].previous_severity == "critical"


def test_the_worst_that_was_told_stays_with_the_incident(database, config, now, group):
    """It flaps, and then stays down less urgently than it was."""
    run(database, config, now, "uo" * 5 + "c" + "u" * 11)

    incident = rows(database, Incident)[-1]
    assert kinds(database)[-3:] == ["flapping", "worsened", "steady"]
    assert rows(database, Event)[-1].severity == "unknown"
    assert incident.severity == "critical"


def test_next_problem_is_another_incident(database, config, now, group):
    run(database, config, now, "coco")

    assert len(rows(database, Incident)) == 2
    assert kinds(database) == ["opened", "closed"] * 2
    assert [event.seq for event in rows(database, Event)] == [1, 2, 3, 4]


def test_recovery_of_a_state_without_an_incident_is_told_too(
    database, config, now, group
):
    with database.transaction() as session:
        session.execute(
            update(Task).values(
                told_severity=Severity.CRITICAL,
                contiguous_failures=3,
                failing_since=now - timedelta(hours=1),
                completed_at=now - timedelta(minutes=5),
                severity=Severity.CRITICAL,
            )
        )

    run(database, config, now, "o")

    (incident,) = rows(database, Incident)
    assert kinds(database) == ["closed"]
    assert incident.opened_at == now - timedelta(hours=1)
    assert incident.closed_at == now
    assert incident.severity is Severity.CRITICAL


MAIL = ["mail:a@argos.example", "mail:b@argos.example"]


@pytest.mark.parametrize(
    ("alerts", "lists", "statuses", "told"),
    [
        ({"critical": ["mail", "local"]}, {}, "c", [*MAIL, "local"]),
        ({"critical": ["mail"]}, {}, "co", MAIL * 2),
        ({"critical": ["mail"], "ok": ["mail"]}, {}, "co", MAIL * 2),
        ({"critical": [], "ok": ["local"]}, {}, "co", ["local"]),
        (
            {"critical": ["local"]},
            {"add_alerts_recipients": '["apprise:team", "local"]'},
            "c",
            ["local", "apprise:team"],
        ),
        (
            {"critical": ["local"]},
            {"overwrite_alerts_recipients": '["apprise:team"]'},
            "co",
            ["apprise:team"] * 2,
        ),
        ({"critical": ["local"]}, {"overwrite_alerts_recipients": "[]"}, "co", []),
        ({"unknown": ["local"]}, {}, "c", []),
        ({"unknown": ["local"], "critical": ["mail"]}, {}, "uco", None),
    ],
    ids=[
        "one for each address",
        "recovery to those told",
        "recovery once",
        "recovery to those of ok",
        "added",
        "overwritten",
        "muted",
        "nobody",
        "recovery to all told on the way",
    ],
)
def test_deliveries_go_to_whom_the_config_names(  # noqa: PLR0913  # a table's columns
    database, make_loaded, now, group, alerts, lists, statuses, told
):
    nobody: dict[str, list[str]] = {
        "ok": [], "warning": [], "critical": [], "unknown": [], "no_agent": []
    }  # fmt: skip
    config = make_loaded(
        general__alerts=nobody | alerts,
        general__mail={
            "mailfrom": "argos@argos.example",
            "addresses": ["a@argos.example", "b@argos.example"],
        },
        general__apprise={"team": ["json://127.0.0.1"]},
    ).config
    if lists:
        with database.transaction() as session:
            session.execute(update(Task).values(**lists))

    run(database, config, now, statuses)

    deliveries = rows(database, Delivery)
    found = [_without_target(delivery.recipient) for delivery in deliveries]
    assert found == (["local", *MAIL, "local", *MAIL] if told is None else told)
    assert {delivery.state for delivery in deliveries} <= {"waiting"}
    assert len({delivery.message_id for delivery in deliveries}) == len(deliveries)


def _without_target(recipient: str) -> str:
    """A group's URLs have recipients of their own, which are its own business."""
    return recipient.partition("#")[0]


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(statuses=st.text("ocu", max_size=12), retries=st.integers(0, 3))
def test_every_told_problem_gets_exactly_one_recovery(
    database, config, now, statuses, retries
):
    with database.transaction() as session:
        session.execute(delete(Task))
        session.execute(delete(Schedule))
        add_group(
            session, "a", due_at=now, tasks={"retry_before_notification": retries}
        )

    run(database, config, now, statuses)

    events = rows(database, Event)
    begins = {EventKind.OPENED, EventKind.FLAPPING}
    told = [
        EventKind.OPENED if event.kind in begins else event.kind
        for event in events
        if event.kind in begins | {EventKind.CLOSED}
    ]
    expected = [EventKind.OPENED, EventKind.CLOSED] * len(told)
    assert told == expected[: len(told)]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    open_incidents = [row for row in rows(database, Incident) if not row.closed_at]
    assert len(open_incidents) == len(told) % 2
    assert len(rows(database, Delivery)) == len(events)
