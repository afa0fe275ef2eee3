"""Rollups recounted from the results: equal, whatever came how often and how late."""

import math
import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from argos.core import rollup
from argos.core.rollup import Counts, Kind
from argos.core.schedule import EPOCH
from argos.core.severity import Severity, Status
from argos.schemas import Config
from argos.server.database import Database
from argos.server.models import Gap, GroupDay, Result, Schedule, Task, TaskDay
from argos.server.queries import rollups
from argos.server.queries.counting import add_task_hours
from argos.server.queries.figures import list_figures
from argos.server.queries.leased import LeasedTask
from argos.server.queries.leases import lease_groups
from argos.server.queries.rollups import HourSpan
from argos.server.services.ingest import ingest
from argos.server.services.reconcile import reconcile
from tests.server.factories import add_group, task_ids
from tests.server.recount import read_kinds, read_slots

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
CHECKED = {"path": "/", "checks": [{"status-is": 200}]}
CHECKS = ("status-is", "body-contains", "headers-have")


class Storm:
    """Agents that report on time, late, twice, in parts, or under a lease of others."""

    def __init__(self, database: Database, config: Config, now: datetime) -> None:
        self.database, self.config, self.now = database, config, now
        self.random = random.Random(7)  # the same storm each time
        self.kept: list[tuple[str, list[dict[str, Any]]]] = []

    def blow(self, steps: int) -> None:
        for _ in range(steps):
            agent = self.random.choice(["anna", "bert"])
            with self.database.transaction() as session:
                tasks = lease_groups(
                    session, agent=agent, pools=[0], limit=6, now=self.now
                ).read_tasks()
            if tasks:
                self._report(agent, tasks)
            self.now += timedelta(minutes=self.random.choice([0, 1, 7, 40, 90]))
            if self.kept and self.random.random() < 0.3:
                late = self.random.randrange(len(self.kept))
                self._post(*self.kept[late])
        for agent, items in self.kept:
            self._post(agent, items)

    def _report(self, agent: str, tasks: list[LeasedTask]) -> None:
        items = [self._measure(task) for task in tasks]
        cut = self.random.choice([0, 0, len(items), len(items) // 2])
        self.kept.append((agent, items[:cut]))
        if len(items) > cut:
            self._post(agent, items[cut:])
        if self.random.random() < 0.2:
            self.kept.append((agent, items))

    def _measure(self, task: LeasedTask) -> dict[str, Any]:
        total_us = int(self.random.lognormvariate(11, 1))
        return {
            "task_id": task.id,
            "status": self.random.choice(["success"] * 6 + ["failure", "error"]),
            "context": {},
            "lease_no": task.lease_no,
            "leased_at": task.leased_at.isoformat(),
            "elapsed_us": task.group_id * 1_000_000,
            "timings": self.random.choice([
                None,
                {"total_us": total_us},
                {"total_us": total_us, "first_byte_us": 1},
                {"total_us": total_us // 10, "timing_error_us": 2_000_000},
            ]),
        }

    def _post(self, agent: str, items: list[dict[str, Any]]) -> None:
        ingest(
            self.database, agent=agent, items=items, config=self.config, now=self.now
        )


@pytest.fixture
def storm(database: Database, config: Config, now: datetime) -> Storm:
    with database.transaction() as session:
        for place in range(8):
            add_group(
                session,
                f"site{place}",
                due_at=now,
                checks=CHECKS,
                frequency=[1.0, 5.0, 30.0, 90.0][place % 4],
                tasks={"recheck_delay": 0.5} if place % 2 else None,
            )
    storm = Storm(database, config, now)
    storm.blow(40)
    return storm


@pytest.fixture
def stored(storm: Storm) -> list[Result]:
    with storm.database.reading() as session:
        return list(session.scalars(select(Result)))


def test_rollups_recounted_from_the_results_are_equal(storm, stored):
    raw_kinds: Counter[Any] = Counter()
    raw_slots: Counter[Any] = Counter()
    with storm.database.reading() as session:
        groups = {
            task.id: task.schedule.key for task in session.scalars(select(Task)).all()
        }
        kinds, slots = read_kinds(session), read_slots(session)
    for result in stored:
        hour = rollup.hour_of(result.submitted_at)
        raw_kinds[result.task_id, hour, Kind.of(result.severity)] += 1
        for total_us in answer_times(result):
            raw_slots[groups[result.task_id], hour, rollup.slot(total_us)] += 1

    assert len({result.submitted_at.date() for result in stored}) > 1
    assert any(result.is_late for result in stored)
    assert kinds == raw_kinds
    assert slots == raw_slots


def answer_times(result: Result) -> list[int]:
    """The response time, if an answer began and the agent was not busy."""
    is_answer = result.first_byte_us or result.status is Status.SUCCESS
    is_sure = not result.timing_error_us
    return [result.total_us] if result.total_us and is_answer and is_sure else []


def test_figures_of_several_spans_are_those_of_each(storm):
    spans = [HourSpan.until(storm.now, n * HOUR) for n in (1, 5, 24, 30, 100, 500)]
    with storm.database.reading() as session:
        ids = [task.id for task in session.scalars(select(Task))]
        groups = [group.id for group in session.scalars(select(Schedule))]
        wanted = {"task_ids": ids, "group_ids": groups, "now": storm.now}

        together = list_figures(session, spans=spans, **wanted)
        apart = [list_figures(session, spans=[span], **wanted) for span in spans]

    assert [[each] for each in together] == apart
    assert len({each.counts for each in together}) > 2


def test_figures_of_a_span_are_those_of_its_results(storm, stored):
    for length in (HOUR, 13 * HOUR, DAY, 7 * DAY):
        compare_figures(storm, stored, HourSpan.until(storm.now, length))


def compare_figures(storm: Storm, stored: list[Result], span: HourSpan) -> None:
    inside = [result for result in stored if result.submitted_at >= span.since]
    with storm.database.reading() as session:
        ids = [task.id for task in session.scalars(select(Task))]
        groups = [group.id for group in session.scalars(select(Schedule))]

        (found,) = list_figures(
            session, task_ids=ids, group_ids=groups, spans=[span], now=storm.now
        )
        by_hour = rollups.list_hourly_counts(session, task_ids=ids, span=span)
        by_day = rollups.list_daily_counts(
            session, task_ids=ids, first_day=0, last_day=99_999
        )

    severities = Counter(result.severity for result in inside)
    assert found.counts == Counts(*(severities[severity] for severity in Severity))
    hours = Counter(rollup.hour_of(result.submitted_at) for result in inside)
    assert {hour: counts.total for hour, counts in by_hour.items()} == hours
    days = Counter(rollup.hour_of(result.submitted_at) // 24 for result in stored)
    assert {day: counts.total for day, counts in by_day.items()} == days
    times = sorted(time for result in inside for time in answer_times(result))
    for share, percentile in (
        (0.5, found.p50_us),
        (0.95, found.p95_us),
        (0.99, found.p99_us),
    ):
        exact = times[math.ceil(len(times) * share) - 1] if times else None
        assert percentile == (exact and pytest.approx(exact, rel=0.1))


def test_missed_runs_of_a_span_are_those_of_its_gaps(storm):
    with storm.database.reading() as session:
        groups = list(session.scalars(select(Schedule)))
        gaps = list(session.scalars(select(Gap)))
        span = HourSpan(0, rollup.hour_of(storm.now) + 1)

        missed = {
            group.id: figures.missed
            for group in groups
            for figures in list_figures(
                session, task_ids=[], group_ids=[group.id], spans=[span], now=storm.now
            )
        }

    assert sum(gap.missed for gap in gaps) == sum(g.missed_runs for g in groups) > 0
    for group in groups:
        closed = sum(gap.missed for gap in gaps if gap.group_key == group.key)
        assert closed == group.missed_runs
        # What is overdue for more than a period is missed, too.
        assert missed[group.id] >= closed


@pytest.fixture
def one_task(database: Database, now: datetime) -> int:
    with database.transaction() as session:
        return task_ids(session, add_group(session, "a", due_at=now).id)[0]


def test_a_day_whose_hours_are_gone_counts_as_a_whole(database, one_task, now):
    day = (now - EPOCH).days
    with database.transaction() as session:
        session.add(TaskDay(task_id=one_task, day=day - 1, ok=5, critical=3, hours=b""))

    with database.reading() as session:
        (found,) = list_figures(
            session,
            task_ids=[one_task],
            group_ids=[],
            spans=[HourSpan.until(now, 20 * HOUR)],
            now=now,
        )

    assert found.counts == Counts(ok=5, critical=3)


def test_maintenance_is_counted_apart(database, one_task, now):
    hours = {(one_task, rollup.hour_of(now)): rollup.pack({Kind.MAINTENANCE: 2})}
    with database.transaction() as session:
        add_task_hours(session, hours=hours)
        add_task_hours(session, hours=hours)

    with database.reading() as session:
        (found,) = list_figures(
            session,
            task_ids=[one_task],
            group_ids=[],
            spans=[HourSpan.until(now, HOUR)],
            now=now,
        )

    assert found.counts == Counts(maintenance=4)
    assert found.uptime is None


def test_the_open_hour_outlives_a_group_that_goes(database, make_loaded, now):
    websites = [{"domain": "https://a.example", "ipv6": False, "paths": [CHECKED]}]
    hour, tally = rollup.hour_of(now), rollup.pack({70: 3})
    reconcile(database, make_loaded(websites=websites), now=now)
    with database.transaction() as session:
        key = session.scalars(select(Schedule)).one().key
        session.execute(update(Schedule).values(open_hour=hour, open_latencies=tally))

    reconcile(database, make_loaded(), now=now, allow_mass_removal=True)

    with database.reading() as session:
        assert session.scalars(select(Schedule)).all() == []
        day = session.scalars(select(GroupDay)).one()
    assert (day.group_key, day.day, day.latencies) == (key, hour // 24, tally)


def test_nothing_measured_has_no_figures(database, one_task, now):
    span = HourSpan.until(now, 30 * DAY)
    with database.transaction() as session:
        session.execute(update(Task).values(website_id=None))

    with database.reading() as session:
        (figures,) = list_figures(
            session, task_ids=[one_task], group_ids=[1], spans=[span], now=now
        )

    assert (figures.counts, figures.uptime, figures.missed) == (Counts(), None, 0)
    assert figures.p50_us is figures.p95_us is figures.p99_us is None
