"""Several runs in one report: each is measured, and looked at, by itself."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from argos.server.models import Result
from argos.server.queries.leased import LeasedTask
from argos.server.queries.leases import lease_groups
from argos.server.services.agent_watch import AgentWatch, Look
from argos.server.services.ingest import ingest
from tests.server.factories import add_group

CHECKS = ("status-is", "status-in", "body-contains")


class Onlooker(AgentWatch):
    """Remembers what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: list[Look] = []

    def take(self, case: Any, looks: Any) -> bool:
        self.looks = list(looks)
        return False


@pytest.fixture
def tasks(database, now) -> list[LeasedTask]:
    """Of two task groups, leased by anna."""
    with database.transaction() as session:
        for name in "ab":
            add_group(session, name, due_at=now, checks=CHECKS)
        leased = lease_groups(
            session, agent="anna", pools=[0], limit=9, now=now
        ).read_tasks()
    return sorted(leased, key=lambda task: task.id)


def item(task: LeasedTask, status: str, *, elapsed_us: int) -> dict[str, Any]:
    return {
        "task_id": task.id,
        "status": status,
        "context": {},
        "lease_no": task.lease_no,
        "leased_at": task.leased_at.isoformat(),
        "elapsed_us": elapsed_us,
    }


def report(database: Any, config: Any, items: list[Any], now: datetime) -> Onlooker:
    watch = Onlooker()
    ingest(database, agent="anna", items=items, config=config, now=now, watch=watch)
    return watch


@pytest.mark.parametrize(
    "elapsed_us", [(1, 1, 1, 1, 1, 1), (1, 1, 1, 2, 2, 2), (1, 2, 1, 2, 1, 1)], ids=str
)
def test_each_result_has_the_moment_at_which_it_was_measured(
    database, config, now, tasks, elapsed_us
):
    items = [
        item(task, "success", elapsed_us=each)
        for task, each in zip(tasks, elapsed_us, strict=True)
    ]

    report(database, config, items, now + timedelta(seconds=1))

    with database.reading() as session:
        moments = session.scalars(select(Result.submitted_at).order_by(Result.task_id))
        assert list(moments) == [
            now + timedelta(microseconds=each) for each in elapsed_us
        ]


@pytest.mark.parametrize(
    ("statuses", "failed"),
    [
        (("success", "success", "success"), [False]),
        (("failure", "success", "success"), [True, False]),
        (("success", "failure", "success"), [False, True, False]),
        (("failure", "failure", "failure"), [True, True, True]),
    ],
    ids=str,
)
def test_a_look_at_a_website_says_once_that_it_is_well_and_each_time_that_it_is_not(
    database, config, now, tasks, statuses, failed
):
    ill, well = tasks[:3], tasks[3:]
    items = [
        item(task, status, elapsed_us=1)
        for task, status in zip(ill, statuses, strict=True)
    ]
    items += [item(task, "success", elapsed_us=2) for task in well]

    watch = report(database, config, items, now + timedelta(seconds=1))

    assert watch.looks == [
        *(Look(ill[0].domain, each, False, True) for each in failed),
        Look(well[0].domain, False, False, True),
    ]


def test_what_was_measured_long_ago_is_no_look(database, config, now, tasks):
    items = [item(task, "success", elapsed_us=1) for task in tasks[:3]]
    items += [item(task, "success", elapsed_us=590_000_000) for task in tasks[3:]]

    watch = report(database, config, items, now + timedelta(minutes=10))

    assert [look.domain for look in watch.looks] == [tasks[3].domain]
