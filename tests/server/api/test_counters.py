"""GET /api/stats and /api/severities: true values, for everybody."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from argos.clock import utcnow
from argos.core.severity import Severity
from argos.errors import DatabaseUnreachable
from argos.protocol import StatsAnswer
from argos.server.models import Task
from argos.server.queries.leases import lease_groups
from argos.server.services.ingest import ingest
from argos.server.services.stats import COST_SHARE, Kept, count_stats
from tests.server.factories import add_group


def test_empty_database_counts_nothing(client):
    assert client.get("/api/stats").json() == {
        "upcoming_tasks_count": 0,
        "results_count": 0,
        "selected_tasks_count": 0,
    }
    assert client.get("/api/severities").json() == {
        "ok": 0,
        "warning": 0,
        "critical": 0,
        "unknown": 0,
    }


def test_counts_are_true_and_leave_archived_tasks_out(client, database, config):
    now = utcnow()
    with database.transaction() as session:
        for place, name in enumerate("abc"):
            due_at = now - timedelta(minutes=10 - place)
            add_group(session, name, due_at=due_at, checks=["status-is", "body-like"])
        session.execute(update(Task).where(Task.id == 6).values(archived_at=now))
        tasks = lease_groups(
            session, agent="anna", pools=[0], limit=2, now=now
        ).read_tasks()
    done = [task for task in tasks if task.group_id == tasks[0].group_id]
    items = [
        {"task_id": task.id, "status": status, "context": {}}
        for task, status in zip(done, ["success", "failure"], strict=True)
    ]
    ingest(database, agent="anna", items=items, config=config, now=now)

    assert client.get("/api/stats").json() == {
        "upcoming_tasks_count": 3,
        "results_count": 2,
        "selected_tasks_count": 2,
    }
    assert client.get("/api/severities").json() == {
        "ok": 1,
        "warning": 0,
        "critical": 1,
        "unknown": 3,
    }
    with database.reading() as session:
        assert session.get_one(Task, done[1].id).severity is Severity.CRITICAL


def test_counting_takes_a_small_share_of_the_time_however_often_it_is_asked(database):
    class SlowClock:
        """Each look at it takes a second."""

        now = 0.0

        def monotonic(self) -> float:
            self.now += 1.0
            return self.now

        def utcnow(self) -> datetime:
            return utcnow()

    clock = SlowClock()
    stats: Kept[StatsAnswer] = Kept()
    first = stats.get(lambda: count_stats(database), clock)
    with database.transaction() as session:
        add_group(session, "a", due_at=utcnow())

    turns = 1
    while stats.get(lambda: count_stats(database), clock) == first:
        turns += 1

    assert turns * COST_SHARE == pytest.approx(1, rel=0.25)


class HandClock:
    """Goes on when it is told to."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def utcnow(self) -> datetime:
        return utcnow()


def test_who_asks_for_what_costs_much_gets_the_former_answer_while_one_is_made():
    clock = HandClock()
    kept: Kept[int] = Kept(stale_s=300)
    made = 0
    may_end = threading.Event()

    def make() -> int:
        nonlocal made
        made += 1
        clock.now += 2  # it costs so much
        if made == 2:
            may_end.wait()
        return made

    answers = [kept.get(make, clock)]
    clock.now += 2 / COST_SHARE - 1
    answers.append(kept.get(make, clock))
    clock.now += 2
    answers += [kept.get(make, clock), kept.get(make, clock)]
    may_end.set()
    kept.wait()
    answers.append(kept.get(make, clock))
    clock.now += 301
    answers.append(kept.get(make, clock))

    assert (answers, made) == ([1, 1, 1, 1, 2, 3], 3)


def test_a_renewal_that_fails_leaves_the_former_answer(caplog):
    clock = HandClock()
    kept: Kept[int] = Kept(stale_s=300)
    outcomes: list[int | DatabaseUnreachable] = [1, DatabaseUnreachable("gone"), 3]

    def make() -> int:
        clock.now += 2
        outcome = outcomes.pop(0)
        if isinstance(outcome, DatabaseUnreachable):
            raise outcome
        return outcome

    answers = []
    for pause in (0, 2 / COST_SHARE + 5, 2 / COST_SHARE + 5):
        clock.now += pause
        answers.append(kept.get(make, clock))
        kept.wait()
    answers.append(kept.get(make, clock))

    assert answers == [1, 1, 1, 3]
    assert "the former stands: gone" in caplog.text


def test_what_costs_little_is_made_by_who_asks():
    clock = HandClock()
    kept: Kept[int] = Kept(stale_s=300)
    made = 0

    def make() -> int:
        nonlocal made
        made += 1
        clock.now += 0.05
        return made

    answers = [kept.get(make, clock)]
    clock.now += 2
    answers.append(kept.get(make, clock))

    assert answers == [1, 2]


def test_what_took_long_once_is_no_older_for_it():
    clock = HandClock()
    kept: Kept[int] = Kept(stale_s=300)
    costs = [0.01, 3, 0.01]

    def make() -> int:
        clock.now += costs.pop(0)
        return len(costs)

    answers = []
    for pause in (0, 1, 1):
        clock.now += pause
        answers.append(kept.get(make, clock))

    assert answers == [2, 1, 0]
