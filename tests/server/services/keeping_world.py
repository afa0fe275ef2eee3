"""A small fleet to which all sorts of things happen, however its results are kept."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from argos.core.flapping import ALL_OK
from argos.core.matching import Matcher
from argos.core.severity import Severity, Status
from argos.protocol import HeldLease, ReportAnswer
from argos.schemas import Config
from argos.server.database import Database
from argos.server.models import (
    Event,
    Gap,
    GroupDay,
    Incident,
    Result,
    Schedule,
    Silence,
    SilenceKind,
    Task,
    TaskDay,
)
from argos.server.queries.leased import LeasedTask
from argos.server.queries.leases import lease_groups, release_groups
from argos.server.queries.silences import NewSilence, add_silence
from argos.server.services.ingest import ingest
from tests.server.factories import add_group
from tests.server.recount import read_kinds, read_slots

START = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
CHECKS = ("status-is", "json-has")
CALM = {
    "severity": Severity.OK,
    "last_status": Status.SUCCESS,
    "severity_since": START - timedelta(days=3),
    "completed_at": START - 5 * MINUTE,
    "run_history": ALL_OK,
}


class Step(NamedTuple):
    """Something that happens; `number` says to which of many."""

    what: str
    number: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(
            ["run"] * 10
            + ["run badly", "run in parts", "run twice", "run as 0.10.3", "run unheard"]
            + ["lose", "hold back", "hold back", "come late", "come late", "repeat"]
            + ["repeat", "hand back", "wait", "switch", "switch", "maintain"]
        ),
        st.integers(0, 99),
    ),
    min_size=10,
    max_size=40,
)


@dataclass
class World:
    """A fleet of two websites, well for long, and two agents."""

    database: Database
    configs: dict[str, Config]
    keep: str
    """How results are kept; "both": it is switched in the middle."""
    now: datetime = START
    posted: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)
    held_back: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)
    mode: str = "changes"
    names: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        models = (Event, Incident, Silence, Gap, GroupDay, TaskDay, Result, Task)
        with self.database.transaction() as session:
            for model in (*models, Schedule):
                session.execute(delete(model))
            for place, name in enumerate("ab"):
                due_at = START - place * SECOND
                add_group(session, name, due_at=due_at, checks=CHECKS, tasks=CALM)
            self.names = {
                task.id: f"{task.domain} {task.check}"
                for task in session.scalars(select(Task))
            }

    @property
    def config(self) -> Config:
        return self.configs[self.mode if self.keep == "both" else self.keep]

    def take(self, step: Step) -> None:
        agent = "anna" if step.number % 3 else "bert"
        if step.what == "run as 0.10.3":
            agent = "carl"  # no agent names its leases now and then
        match step.what:
            case "wait":
                self.now += (step.number + 1) * 7 * MINUTE
            case "switch":
                self.mode = {"all": "changes", "changes": "all"}[self.mode]
            case "maintain":
                self.maintain(step.number)
            case "repeat" if self.posted:
                self.post(*self.posted[-1 - step.number % len(self.posted)])
            case "come late" if self.held_back:
                self.post(*self.held_back.pop(step.number % len(self.held_back)))
            case _:
                self.now += 5 * MINUTE
                self.work(step, agent, self.lease(agent))

    def work(self, step: Step, agent: str, tasks: list[LeasedTask]) -> None:
        items = [self.measure(task, step) for task in tasks]
        match step.what:
            case "lose":
                return
            case "hold back":
                self.held_back.append((agent, items))
            case "hand back":
                held = [
                    HeldLease(group_id=task.group_id, lease_no=task.lease_no)
                    for task in tasks
                ]
                with self.database.transaction() as session:
                    release_groups(session, agent=agent, held=held, now=self.now)
            case "run in parts":
                self.post(agent, items[1:])
                self.post(agent, items[:1])
            case "run twice":
                self.post(agent, items + items)
            case "run unheard":
                self.post(agent, items)
                self.post(agent, items)
            case "run as 0.10.3":
                names = ("task_id", "status", "context")
                self.post(agent, [{key: item[key] for key in names} for item in items])
            case _:
                self.post(agent, items)

    def lease(self, agent: str) -> list[LeasedTask]:
        with self.database.transaction() as session:
            return lease_groups(
                session, agent=agent, pools=[0], limit=9, now=self.now
            ).read_tasks()

    def measure(self, task: LeasedTask, step: Step) -> dict[str, Any]:
        """What comes of a probe: the same in each world."""
        name = self.names[task.id]
        rng = random.Random(f"{name} {task.lease_no} {step}")
        is_bad = step.what == "run badly" and (step.number % 2 or rng.random() < 0.5)
        return {
            "task_id": task.id,
            "status": rng.choice(["failure", "error"]) if is_bad else "success",
            "context": {"retrieved": step.number % 20 // 18} if "json" in name else {},
            "lease_no": task.lease_no,
            "leased_at": task.leased_at.isoformat(),
            "elapsed_us": 1_000_000 + task.group_id % 2,
            "timings": {"total_us": int(rng.lognormvariate(11, 1)), "first_byte_us": 1},
        }

    def post(self, agent: str, items: list[dict[str, Any]]) -> ReportAnswer:
        # A moment of its own: that of another result would be that result's key.
        self.now += SECOND + timedelta(microseconds=7)
        self.posted.append((agent, items))
        return ingest(
            self.database, agent=agent, items=items, config=self.config, now=self.now
        )

    def maintain(self, number: int) -> None:
        silence = NewSilence(
            matcher=Matcher(website=("https://a.example.org/",)),
            kind=SilenceKind.MAINTENANCE,
            starts_at=self.now,
            ends_at=self.now + (number % 4 + 1) * 5 * MINUTE,
            created_by="ada",
            comment="",
        )
        with self.database.transaction() as session:
            add_silence(session, silence, now=self.now)

    def outcome(self) -> dict[str, Any]:
        """All that does not depend on which results have rows."""
        with self.database.reading() as session:
            groups = {row.id: row for row in session.scalars(select(Schedule))}
            return {
                "counts": Counter({
                    (self.names[task_id], hour, kind): count
                    for (task_id, hour, kind), count in read_kinds(session).items()
                }),
                "times": read_slots(session),
                "tasks": {
                    self.names[task.id]: (
                        task.severity, task.severity_since, task.completed_at,
                        task.last_status, task.contiguous_failures, task.told_severity,
                        task.run_history, task.applied_lease_no, task.event_count,
                        task.is_flapping, task.confirming_since, task.seen_by,
                    )
                    for task in session.scalars(select(Task))
                },
                "queue": {
                    row.key: (row.due_at, row.next_run, row.lease_no, row.missed_runs)
                    for row in groups.values()
                },
                "events": sorted(
                    (self.names[event.task_id], event.seq, event.kind, event.at)
                    for event in session.scalars(select(Event))
                ),
                "gaps": sorted(
                    (gap.group_key, gap.begin, gap.missed)
                    for gap in session.scalars(select(Gap))
                ),
            }  # fmt: skip

    def rows(self) -> Counter[Any]:
        with self.database.reading() as session:
            return Counter(
                (self.names[row.task_id], row.submitted_at, row.status, row.severity,
                 row.is_late, row.in_maintenance, row.total_us, row.agent_id)
                for row in session.scalars(select(Result))
            )  # fmt: skip

    def left_out(self) -> int:
        """How many results have no row, by what stands beside those that have one."""
        with self.database.reading() as session:
            return sum(
                session.scalar(select(func.coalesce(func.sum(column), 0))) or 0
                for column in (Result.left_out, Task.left_out)
            )


def play(world: World, steps: list[Step]) -> World:
    for step in steps:
        world.take(step)
    return world
