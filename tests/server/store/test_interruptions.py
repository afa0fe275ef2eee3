"""Whatever breaks between any two statements: done as a whole or not at all.

And whoever was not told that it was done may do it again.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text

from argos.core.matching import Matcher
from argos.errors import DatabaseError
from argos.protocol import HeldLease
from argos.server.database import Database
from argos.server.models import (
    Base,
    Delivery,
    DeliveryState,
    Incident,
    SilenceKind,
)
from argos.server.queries.leased import LeasedTask
from argos.server.queries.leases import lease_groups, release_groups
from argos.server.queries.silences import NewSilence
from argos.server.services import acknowledgement, dispatch, peace
from argos.server.services.ingest import ingest
from argos.server.services.reconcile import reconcile
from tests.server.browsing import TurnedClock
from tests.server.store.interruptions import AT_STATEMENTS, Interrupter, Kind

GROUPS = 3
PERIOD = timedelta(minutes=5)
Rows = dict[str, list[tuple[Any, ...]]]


@dataclass
class Stage:
    """A store with some websites under watch, and somebody who breaks its calls."""

    database: Database
    interrupter: Interrupter
    config: Any
    make_loaded: Callable[..., Any]
    clock: TurnedClock
    held: list[LeasedTask]

    @property
    def now(self) -> datetime:
        return self.clock.now

    def rows(self) -> Rows:
        """All that the database holds."""
        with self.database.reading() as session:
            return {
                name: sorted(
                    map(tuple, session.execute(text(f"SELECT * FROM {name}"))), key=repr
                )
                for name in Base.metadata.tables
            }

    # What can be done, the n-th time

    def lease(self, number: int) -> list[LeasedTask]:
        with self.database.transaction() as session:
            return lease_groups(
                session, agent="anna", pools=[0], limit=1, now=self.clock.now
            ).read_tasks()

    def release(self, number: int) -> list[int]:
        task = self.held[number]
        held = [HeldLease(group_id=task.group_id, lease_no=task.lease_no)]
        with self.database.transaction() as session:
            return release_groups(session, agent="anna", held=held, now=self.clock.now)

    def report(self, number: int) -> list[int]:
        """A failure, which opens an incident and is told."""
        task = self.held[number]
        item = {
            "task_id": task.id,
            "status": "failure",
            "context": {"text": "gone"},
            "lease_no": task.lease_no,
            "leased_at": task.leased_at.isoformat(),
            "elapsed_us": 1_000,
            "timings": {"total_us": 1_000, "first_byte_us": 1},
        }
        answer = ingest(
            self.database,
            agent="anna",
            items=[item],
            config=self.config,
            now=self.clock.now,
        )
        assert answer.refused == []
        return answer.result_ids

    def reload(self, number: int) -> None:
        """Some websites more, one less, and one that changes."""
        loaded = self.make_loaded(
            general__frequency=f"{number + 1}m",
            websites=[
                {
                    "domain": f"https://new{n}.example",
                    "ipv6": False,
                    "paths": [{"path": "/", "checks": [{"status-is": 200}]}],
                }
                for n in range(number, number + 3)
            ],
        )
        reconcile(self.database, loaded, now=self.clock.now, allow_mass_removal=True)

    def acknowledge(self, number: int) -> None:
        with self.database.reading() as session:
            ids = list(session.scalars(select(Incident.id).order_by(Incident.id)))
        acknowledgement.acknowledge(
            self.database,
            self.clock,
            incident_id=ids[number],
            word=acknowledgement.Word("eva", "I look."),
        )

    def silence(self, number: int) -> None:
        peace.add_silence(
            self.database,
            NewSilence(
                kind=SilenceKind.SILENCE,
                matcher=Matcher(website=[f"new{number}.example"]),
                starts_at=self.clock.now,
                ends_at=self.clock.now + timedelta(hours=1),
                comment="",
                created_by="eva",
            ),
            now=self.clock.now,
        )


@pytest.fixture
def stage(
    database: Database,
    request: pytest.FixtureRequest,
    make_loaded: Callable[..., Any],
    now: datetime,
) -> Stage:
    """Some groups are leased, some due; two incidents are open."""
    server: psycopg.Connection | None = (
        None if database.is_sqlite else request.getfixturevalue("postgresql_admin")
    )
    websites = [
        {
            "domain": f"https://site{n}.example",
            "ipv6": False,
            "paths": [{"path": "/", "checks": [{"status-is": 200}]}],
        }
        for n in range(GROUPS * 3)
    ]
    loaded = make_loaded(general__confirm=False, websites=websites)
    reconcile(database, loaded, now=now)
    clock = TurnedClock(now)
    stage = Stage(
        database,
        Interrupter(database, server),
        loaded.config,
        make_loaded,
        clock,
        [],
    )
    stage.held = [task for n in range(GROUPS * 2) for task in stage.lease(n)]
    return stage


def open_incidents(stage: Stage) -> None:
    stage.held = stage.held[::-1]
    for number in range(GROUPS):
        stage.report(number)
    stage.held = stage.held[::-1]


# What is done, and whether it is known to be done when it is done again.
CALLS = {
    "lease": False,
    "release": True,
    "report": True,
    "reload": True,
    "acknowledge": True,
    "silence": False,
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_breaks_anywhere_has_done_nothing(stage, name):
    call = getattr(stage, name)
    open_incidents(stage)
    call(0)
    with stage.interrupter.at(None):
        call(1)
    statements, commits = stage.interrupter.statements, stage.interrupter.commits
    before = stage.rows()
    places = [(kind, n) for kind in AT_STATEMENTS for n in range(1, statements + 1)]

    for kind, place in [*places, (Kind.LOST_COMMIT, commits)]:
        with (
            stage.interrupter.at(kind, place),
            pytest.raises(DatabaseError),
        ):
            call(2)
        changed = [
            table for table, rows in stage.rows().items() if rows != before[table]
        ]
        assert changed == [], f"{kind} at {place}"

    call(2)
    assert stage.rows() != before
    assert statements > 0


@pytest.mark.parametrize("name", [name for name, is_known in CALLS.items() if is_known])
def test_a_call_whose_end_was_not_heard_may_be_made_again(stage, name):
    call = getattr(stage, name)
    open_incidents(stage)
    call(0)
    with stage.interrupter.at(None):
        call(1)
    commits = stage.interrupter.commits
    before = stage.rows()

    with (
        stage.interrupter.at(Kind.UNHEARD_COMMIT, commits),
        pytest.raises(DatabaseError),
    ):
        call(2)
    done = stage.rows()
    call(2)

    assert done != before
    changed = [table for table, rows in stage.rows().items() if rows != done[table]]
    assert changed == (["incident_comments"] if name == "acknowledge" else [])


def test_a_lease_that_was_not_heard_of_runs_out_and_is_given_anew(stage):
    with (
        stage.interrupter.at(Kind.UNHEARD_COMMIT),
        pytest.raises(DatabaseError),
    ):
        stage.lease(0)
    others = [task for _ in range(GROUPS * 3) for task in stage.lease(1)]

    stage.clock.now += timedelta(seconds=46)
    with stage.database.transaction() as session:
        again = lease_groups(
            session, agent="bert", pools=[0], limit=99, now=stage.now
        ).read_tasks()

    known = {task.group_id for task in stage.held + others}
    [lost] = [task for task in again if task.group_id not in known]
    assert lost.lease_no == 2
    assert len(known) == GROUPS * 3 - 1


class Channel:
    """Takes whatever is sent."""

    def __init__(self, sent: list[str]) -> None:
        self._sent = sent

    def send(self, notice: Any) -> None:
        self._sent.append(notice.message_id)

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("kind", [*AT_STATEMENTS, Kind.LOST_COMMIT])
def test_a_message_is_sent_whatever_breaks_and_always_under_one_name(stage, kind):
    stage.report(0)
    sent: list[str] = []
    broken = 0

    while is_waiting(stage):
        broken += 1
        with (
            stage.interrupter.at(kind, broken),
            contextlib.suppress(DatabaseError),
        ):
            send(stage, sent)
        # Longer than a claim: nobody knows what became of this server.
        stage.clock.now += dispatch.CLAIM_INTERVAL

    assert broken > (2 if kind is Kind.LOST_COMMIT else 8)
    assert len(set(sent)) == 1
    assert len(sent) > 1


def test_a_message_whose_mark_was_not_heard_is_not_sent_again(stage):
    stage.report(0)
    sent: list[str] = []

    with (
        stage.interrupter.at(Kind.UNHEARD_COMMIT, 2),
        pytest.raises(DatabaseError),
    ):
        send(stage, sent)
    stage.clock.now += dispatch.CLAIM_INTERVAL * 2
    send(stage, sent)

    assert len(sent) == 1


def send(stage: Stage, sent: list[str]) -> None:
    """What a server does that was just started."""

    def open_channel(*_: object) -> Any:
        return Channel(sent)

    means = dispatch.Means(
        stage.database,
        stage.clock,
        Random(1),
        lambda: stage.config,
        "server 1",
        open_channel,
    )
    dispatch.Dispatcher(means).run_lane("local")


def is_waiting(stage: Stage) -> bool:
    with stage.database.reading() as session:
        waiting = select(Delivery.id).where(Delivery.state == DeliveryState.WAITING)
        return session.scalar(waiting.limit(1)) is not None
