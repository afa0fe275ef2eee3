"""GET /api/stats and /api/severities: true values, for everybody."""

from datetime import datetime, timedelta

from sqlalchemy import update

from argos.clock import utcnow
from argos.core.severity import Severity
from argos.protocol import StatsAnswer
from argos.server.models import Task
from argos.server.queries.leases import lease_groups
from argos.server.services.ingest import ingest
from argos.server.services.stats import Kept, count_stats
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
        tasks = lease_groups(session, agent="anna", pools=[0], limit=2, now=now)
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

    assert 15 <= turns <= 25
