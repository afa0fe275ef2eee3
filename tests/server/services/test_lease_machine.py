"""Leases, reports and releases in any order, against a model that is a few dicts."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select

from argos.core.incident import Outcome, Patience, TaskState, advance
from argos.core.severity import Severity
from argos.protocol import HeldLease
from argos.schemas import Config
from argos.server.database import Database
from argos.server.models import Event, Result, Schedule, Task
from argos.server.queries.leased import LeasedTask
from argos.server.queries.leases import lease_groups, release_groups
from argos.server.services.ingest import ingest
from tests.server.factories import add_group, task_ids

AGENTS = st.sampled_from(["anna", "bert"])
START = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
LONGEST = timedelta(minutes=5)


@dataclass
class Group:
    """What the model knows of a task group of one task."""

    task_id: int
    due_at: datetime
    lease_no: int = 0
    holder: str | None = None
    is_leased: bool = False
    applied_no: int = 0
    state: TaskState = field(default_factory=TaskState)
    events: int = 0


class LeaseMachine(RuleBasedStateMachine):
    """Two agents, some groups, and time that passes."""

    database: Database
    config: Config

    @initialize(count=st.integers(1, 5), retries=st.integers(0, 2))
    def begin(self, count: int, retries: int) -> None:
        self.now = START
        self.retries = retries
        self.groups: dict[int, Group] = {}
        self.leases: list[LeasedTask] = []
        self.keys: set[tuple[int, datetime]] = set()
        with self.database.transaction() as session:
            session.execute(delete(Task))
            session.execute(delete(Schedule))
            for place in range(count):
                due_at = START - timedelta(seconds=place)
                row = add_group(
                    session,
                    f"site{place}",
                    due_at=due_at,
                    tasks={"retry_before_notification": retries},
                )
                (task_id,) = task_ids(session, row.id)
                self.groups[row.id] = Group(task_id, due_at)

    @rule(seconds=st.sampled_from([1, 30, 45, 90, 301]))
    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(agent=AGENTS, limit=st.integers(1, 6))
    def lease(self, agent: str, limit: int) -> None:
        with self.database.transaction() as session:
            tasks = lease_groups(
                session, agent=agent, pools=[0], limit=limit, now=self.now
            ).read_tasks()

        due = [id_ for id_, group in self.groups.items() if group.due_at <= self.now]
        due.sort(key=lambda id_: self.groups[id_].due_at)
        moments = [self.groups[task.group_id].due_at for task in tasks]
        assert sorted(moments) == [self.groups[id_].due_at for id_ in due[:limit]]
        for task in tasks:
            group = self.groups[task.group_id]
            assert task.lease_no == group.lease_no + 1
            group.lease_no, group.holder, group.is_leased = task.lease_no, agent, True
            group.due_at = self._schedule(task.group_id).due_at
            assert group.due_at >= self.now + timedelta(seconds=45)
            self.leases.append(task)

    @rule(
        data=st.data(),
        agent=AGENTS,
        status=st.sampled_from(["success", "failure", "error"]),
        elapsed_s=st.integers(0, 3),
    )
    def post(
        self, data: st.DataObject, agent: str, status: str, elapsed_s: int
    ) -> None:
        if not self.leases:
            return
        task = data.draw(st.sampled_from(self.leases))
        moment = min(task.leased_at + timedelta(seconds=elapsed_s), self.now)
        answer = ingest(
            self.database,
            agent=agent,
            items=[
                {
                    "task_id": task.id,
                    "status": status,
                    "context": {},
                    "lease_no": task.lease_no,
                    "leased_at": task.leased_at.isoformat(),
                    "elapsed_us": round(
                        (moment - task.leased_at).total_seconds() * 1e6
                    ),
                }
            ],
            config=self.config,
            now=self.now,
        )
        self._expect(task, agent, status, moment, is_refused=bool(answer.refused))

    def _expect(
        self,
        task: LeasedTask,
        agent: str,
        status: str,
        moment: datetime,
        *,
        is_refused: bool,
    ) -> None:
        group = self.groups[task.group_id]
        is_newest = task.lease_no == group.lease_no
        assert is_refused is (is_newest and group.holder != agent)
        if is_refused:
            return
        self.keys.add((task.id, moment))
        if not is_newest or group.applied_no == task.lease_no:
            return
        severity = {"success": "ok", "failure": "critical", "error": "unknown"}[status]
        step = advance(
            group.state,
            Outcome(Severity(severity), moment, agent=agent),
            Patience(retries=self.retries),
        )
        group.state, group.applied_no = step.state, task.lease_no
        group.events += step.event is not None
        group.is_leased = False
        group.due_at = self._schedule(task.group_id).due_at
        assert moment < group.due_at <= moment + LONGEST

    @rule(data=st.data(), agent=AGENTS)
    def release(self, data: st.DataObject, agent: str) -> None:
        if not self.leases:
            return
        task = data.draw(st.sampled_from(self.leases))
        with self.database.transaction() as session:
            released = release_groups(
                session,
                agent=agent,
                held=[HeldLease(group_id=task.group_id, lease_no=task.lease_no)],
                now=self.now,
            )
        group = self.groups[task.group_id]
        is_held = group.is_leased and group.lease_no == task.lease_no
        assert bool(released) is (is_held and group.holder == agent)
        if released:
            group.is_leased = False
            group.due_at = self._schedule(task.group_id).due_at
            assert group.due_at <= self.now

    @invariant()
    def nothing_is_put_off_for_longer_than_a_period(self) -> None:
        for group in self.groups.values():
            assert group.due_at <= self.now + LONGEST

    @invariant()
    def database_says_what_the_model_says(self) -> None:
        with self.database.reading() as session:
            tasks = {task.id: task for task in session.scalars(select(Task))}
            keys = session.execute(select(Result.task_id, Result.submitted_at)).all()
            events = list(session.scalars(select(Event.task_id)))
        assert sorted(map(tuple, keys)) == sorted(self.keys)
        for id_, group in self.groups.items():
            task = tasks[group.task_id]
            assert task.schedule is not None
            assert task.schedule.due_at == group.due_at
            assert task.schedule.lease_no == group.lease_no
            assert (task.selected_by is not None) is group.is_leased, id_
            assert task.contiguous_failures == group.state.contiguous_failures
            assert task.told_severity is group.state.told
            assert events.count(task.id) == task.event_count == group.events

    def _schedule(self, id_: int) -> Any:
        with self.database.reading() as session:
            return session.get_one(Schedule, id_)


@pytest.fixture
def machine(database: Database, config: Config) -> Any:
    class Machine(LeaseMachine):
        pass

    Machine.database = database
    Machine.config = config
    return Machine


@pytest.mark.timeout(300)
def test_any_order_of_leases_reports_and_releases_keeps_the_promises(machine, database):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40 if database.is_sqlite else 15,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
