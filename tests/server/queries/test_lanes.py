"""What is next for a recipient: in order, and whatever else waits for them."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import NamedTuple

import pytest
from sqlalchemy import insert, select

from argos.core.incident import EventKind
from argos.core.severity import Severity, Status
from argos.server.models import Delivery, Event, Incident
from argos.server.queries import lanes
from tests.server.factories import add_group, task_ids

SECOND = timedelta(seconds=1)
LATER = 1


class Row(NamedTuple):
    """A notice that waits."""

    task: int | None
    batch_id: str | None = None
    due_s: int = 0
    """In so many seconds."""


@pytest.fixture
def fill(database, now) -> Callable[..., list[int]]:
    """Lets notices wait for a recipient; returns their ids."""
    places: dict[int, tuple[int, int]] = {}

    def add_event(session, task: int) -> int:
        if task not in places:
            group = add_group(session, f"site{task}", due_at=now)
            (task_id,) = task_ids(session, group.id)
            incident = Incident(
                task_id=task_id, opened_at=now, severity=Severity.CRITICAL
            )
            session.add(incident)
            session.flush()
            places[task] = task_id, incident.id
        task_id, incident_id = places[task]
        seqs = session.scalars(select(Event.seq).where(Event.task_id == task_id))
        event = Event(
            task_id=task_id,
            seq=max(seqs, default=0) + 1,
            incident_id=incident_id,
            kind=EventKind.OPENED,
            at=now,
            severity=Severity.CRITICAL,
            previous_severity=Severity.OK,
            reason="confirmed",
            status=Status.FAILURE,
        )
        session.add(event)
        session.flush()
        return event.id

    def fill(rows: Sequence[Row], recipient: str = "local") -> list[int]:
        with database.transaction() as session:
            return [
                session.execute(
                    insert(Delivery)
                    .values(
                        event_id=None
                        if row.task is None
                        else add_event(session, row.task),
                        recipient=recipient,
                        created_at=now,
                        due_at=now + row.due_s * SECOND,
                        message_id=f"{recipient}.{place}",
                        batch_id=row.batch_id,
                    )
                    .returning(Delivery.id)
                ).scalar_one()
                for place, row in enumerate(rows)
            ]

    return fill


@pytest.fixture
def look(database, now) -> Callable[..., tuple[str | None, list[int]]]:
    """What is next: a message, or notices that may go into one."""

    def look(recipient: str = "local", limit: int = 100):
        with database.reading() as session:
            message = lanes.find_due_message(session, recipient=recipient, now=now)
            pending = lanes.list_pending(
                session, recipient=recipient, now=now, limit=limit
            )
        return message, [one.id for one in pending]

    return look


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param([Row(1)], None, id="undecided"),
        pytest.param([Row(1, "a"), Row(2, "b")], "a", id="the oldest"),
        pytest.param([Row(1, "a", LATER), Row(2, "b")], "b", id="the first is tried again"),
        pytest.param([Row(1, "a", LATER), Row(1, "b")], None, id="after an older one"),
        pytest.param([Row(1), Row(1, "b")], None, id="after an undecided one"),
        pytest.param([Row(1, "a"), Row(1, "a"), Row(2, "a")], "a", id="all of a task"),
        pytest.param(
            [Row(1, "a", LATER), Row(2, "b"), Row(1, "b"), Row(3, "c")], "c", id="a part"
        ),
        pytest.param([Row(None, "a", LATER), Row(None, "b")], "b", id="of no task"),
    ],
)  # fmt: skip
def test_a_message_whose_content_is_decided_comes_in_order(fill, look, rows, expected):
    fill([Row(1, "x")], recipient="mail")
    fill(rows)

    assert look()[0] == expected


def test_what_follows_something_that_waits_is_not_pending(fill, look):
    ids = fill([
        Row(1, due_s=LATER),
        Row(1),
        Row(3, "a"),
        Row(3),
        Row(5),
        Row(5),
        Row(5, due_s=LATER),
        Row(None),
    ])
    fill([Row(1)], recipient="mail")

    assert look() == ("a", [ids[4], ids[5], ids[7]])


def test_what_is_due_is_found_behind_any_number_that_is_not(fill, look):
    ids = fill([
        *(Row(task, due_s=LATER) for task in range(4)),
        *(Row(task) for task in range(4)),
        Row(5),
        Row(6, "a"),
        Row(7),
    ])

    assert look(limit=1) == ("a", [ids[8]])
    assert look(limit=2) == ("a", [ids[8], ids[10]])


def test_the_rules_hold_for_all_that_may_wait(fill, look):
    rng = Random(7)
    for number in range(40):
        recipient = f"mail {number}"
        due_s = {"a": rng.randint(-1, 1), "b": rng.randint(-1, 1), None: 0}
        rows = [
            Row(
                rng.choice([None, 1, 2, 3]),
                batch_id := rng.choice([None, None, "a", "b"]),
                due_s[batch_id] if batch_id else rng.randint(-1, 1),
            )
            for _ in range(rng.randint(1, 8))
        ]
        rows = [
            row._replace(batch_id=row.batch_id and f"{number}{row.batch_id}")
            for row in rows
        ]

        ids = fill(rows, recipient)

        expected = _find_due_message(rows), [ids[at] for at in _list_pending(rows)]
        assert look(recipient) == expected, rows


def _find_due_message(rows: Sequence[Row]) -> str | None:
    first = {row.task: row for row in reversed(rows)}
    return next(
        (
            one.batch_id
            for one in rows
            if one.batch_id is not None
            and one.due_s <= 0
            and all(
                row.task is None or first[row.task].batch_id == one.batch_id
                for row in rows
                if row.batch_id == one.batch_id
            )
        ),
        None,
    )


def _list_pending(rows: Sequence[Row]) -> list[int]:
    def is_free(row: Row) -> bool:
        return row.batch_id is None and row.due_s <= 0

    return [
        place
        for place, row in enumerate(rows)
        if is_free(row)
        and all(
            row.task is None or is_free(older)
            for older in rows[:place]
            if older.task == row.task
        )
    ]
