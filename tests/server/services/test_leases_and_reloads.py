"""Results that are on their way while a reload takes their tasks away, and back."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from argos.core.severity import Severity
from argos.protocol import ReportAnswer
from argos.server.database import Database
from argos.server.models import Result, Schedule, Task
from argos.server.queries.leased import LeasedTask
from argos.server.queries.leases import lease_groups
from argos.server.services.ingest import ingest
from argos.server.services.reconcile import reconcile
from argos.server.settings import LoadedConfig

MINUTE = timedelta(minutes=1)


class Site:
    """A website with two checks that comes and goes, and the agent that probes it."""

    def __init__(self, database: Database, make_loaded: Any, now: datetime) -> None:
        self.database, self.make_loaded, self.now = database, make_loaded, now

    def reload(self, *checks: dict[str, Any], **options: Any) -> None:
        """Let the website have these checks; none: let it go."""
        page = {"path": "/", "checks": list(checks)}
        website = {"domain": "https://a.example", "ipv6": False, "paths": [page]}
        website |= options
        loaded: LoadedConfig = self.make_loaded(websites=[website] if checks else [])
        self.config = loaded.config
        self.now += MINUTE
        reconcile(self.database, loaded, now=self.now, allow_mass_removal=True)

    def lease(self) -> list[LeasedTask]:
        self.now += 10 * MINUTE
        with self.database.transaction() as session:
            return lease_groups(
                session, agent="anna", pools=[0, 1, 2, 3], limit=9, now=self.now
            ).read_tasks()

    def report(self, tasks: list[LeasedTask], status: str = "success") -> ReportAnswer:
        self.now += timedelta(seconds=1)
        items = [
            {
                "task_id": task.id,
                "status": status,
                "context": {},
                "lease_no": task.lease_no,
                "leased_at": task.leased_at.isoformat(),
                "elapsed_us": 1_000,
            }
            for task in tasks
        ]
        return ingest(
            self.database, agent="anna", items=items, config=self.config, now=self.now
        )

    def tasks(self) -> list[Task]:
        with self.database.reading() as session:
            return list(session.scalars(select(Task).order_by(Task.id)))

    def count_results(self) -> int:
        with self.database.reading() as session:
            return len(session.scalars(select(Result.id)).all())


STATUS = {"status-is": 200}


@pytest.fixture
def site(database: Database, make_loaded: Callable[..., Any], now: datetime) -> Site:
    site = Site(database, make_loaded, now)
    site.reload(STATUS)
    return site


def test_a_result_from_before_a_website_went_and_came_back_moves_nothing(site):
    before = site.lease()
    site.reload()
    site.reload(STATUS)
    after = site.lease()

    late = site.report(before, "failure")
    severity = site.tasks()[0].severity
    fresh = site.report(after)

    assert (late.refused, fresh.refused) == ([], [])
    assert severity is Severity.UNKNOWN
    assert site.tasks()[0].severity is Severity.OK
    assert len({*late.result_ids, *fresh.result_ids}) == site.count_results() == 2


def test_a_repeat_does_not_move_a_task_that_went_and_came_back(site):
    site.reload(STATUS, {"body-contains": "x"})
    reported = site.lease()
    first = site.report(reported, "failure")
    site.reload(STATUS)
    site.reload(STATUS, {"body-contains": "x"})

    again = site.report(reported, "failure")

    assert again == first
    assert [task.contiguous_failures for task in site.tasks()] == [1, 0]


def report_old_and_new(site, on_its_way):
    """Report what is on its way, and a new lease of the same task: only that moves it."""
    new = site.lease()

    late = site.report(on_its_way)
    fresh = site.report(new, "failure")

    assert (late.refused, fresh.refused) == ([], [])
    assert new[0].id == on_its_way[0].id
    assert new[0].lease_no > on_its_way[0].lease_no
    assert site.tasks()[0].severity is Severity.CRITICAL


def test_a_result_that_is_on_its_way_when_the_options_change_is_stored(site):
    for _ in range(3):
        site.report(site.lease())
    on_its_way = site.lease()
    site.reload(STATUS, auth={"basic": {"username": "ada", "password": "new"}})

    report_old_and_new(site, on_its_way)

    assert site.count_results() == 5


@pytest.mark.parametrize("has_gone", [False, True])
def test_no_group_gives_out_the_number_of_a_lease_that_was_never_reported(
    site, has_gone
):
    """Numbers jump where tasks come to a group, for those that were there, too."""
    with site.database.transaction() as session:
        session.execute(update(Schedule).values(lease_no=5_000))
    on_its_way = site.lease()
    if has_gone:
        site.reload()
    site.reload(STATUS, auth={"bearer": "new"})

    report_old_and_new(site, on_its_way)

    assert site.count_results() == 2
