"""A database full of tasks, and a server on it, for the programs beside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from argos.checks import get_registered_check
from argos.clock import utcnow
from argos.core.flapping import ALL_OK
from argos.core.rollup import hour_of
from argos.core.severity import Severity, Status
from argos.server.database import Database
from argos.server.migrations.runner import migrate
from argos.server.models import Schedule, Task
from argos.server.services.judging import NOTHING
from argos.server.services.keeping import fingerprint
from tests.server.factories import add_group

ROOT = Path(__file__).resolve().parents[2]
CHECKS = ("status-is", "body-contains", "headers-have", "status-in", "body-like")
CHUNK_GROUPS = 20_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """Task groups, numbered from 1 on, whose tasks have been ok for long."""

    groups: int
    agents: Sequence[str] = ("agent-0",)
    is_leased: bool = False
    """Whether the agents hold all groups from the start, each its share."""
    kept_context: str | None = None
    """What the last results found, if the next ones like them may be left out."""

    def share(self, agent: str) -> range:
        """The groups that an agent holds."""
        place = list(self.agents).index(agent)
        return range(1 + place, self.groups + 1, len(self.agents))

    @staticmethod
    def task_ids(group: int) -> range:
        """The tasks of a group."""
        return range((group - 1) * len(CHECKS) + 1, group * len(CHECKS) + 1)

    def fill(self, url: str) -> str:
        """Make the schema and the tasks; return since when they are leased."""
        database = Database(url)
        migrate(database)
        now = utcnow()
        with database.transaction() as session:
            self._add_first(session, now)
        for begin in range(2, self.groups + 1, CHUNK_GROUPS):
            end = min(begin + CHUNK_GROUPS, self.groups + 1)
            with database.transaction() as session:
                _copy(session, "schedule", begin, end, self._schedule(database))
                _copy(session, "tasks", begin, end, _task(database))
        with database.engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")
        database.close()
        return now.isoformat()

    def _add_first(self, session: Session, now: datetime) -> None:
        add_group(session, "site1", due_at=now, checks=CHECKS, frequency=5.0)
        session.execute(
            update(Task).values(
                severity=Severity.OK, last_status=Status.SUCCESS, severity_since=now,
                completed_at=now, run_history=ALL_OK,
            )
        )  # fmt: skip
        if self.kept_context is not None:
            for task in session.scalars(select(Task)):
                is_silent = get_registered_check(task.check).is_success_silent
                context = NOTHING if is_silent else self.kept_context
                task.kept_facts = fingerprint(task.check, context)
                task.kept_at, task.left_out = now, 0
                task.open_hour = hour_of(now)
                task.unbroken_since = task.applied_lease_no
        if self.is_leased:
            until = now + timedelta(minutes=5)
            session.execute(
                update(Schedule).values(
                    lease_no=1, leased_by=self.agents[0], leased_at=now, due_at=until
                )
            )

    def _schedule(self, database: Database) -> dict[str, str]:
        changes = {"id": "i", "key": _key(database, "g"), "shard": "i % 16"}
        if self.is_leased:
            names = " ".join(
                f"WHEN {place} THEN '{name}'" for place, name in enumerate(self.agents)
            )
            changes["leased_by"] = f"CASE (i - 1) % {len(self.agents)} {names} END"
        return changes


def _key(database: Database, prefix: str) -> str:
    if database.is_sqlite:
        return "randomblob(16)"
    return f"decode(md5('{prefix}' || i || '.' || t.id), 'hex')"


def _task(database: Database) -> dict[str, str]:
    return {
        "id": f"(i - 1) * {len(CHECKS)} + t.id",
        "group_id": "i",
        "key": _key(database, "t"),
        "url": "'https://site' || i || '.example.org/'",
        "domain": "'https://site' || i || '.example.org/'",
        "task_group": "'GET-4-site' || i",
    }


def _copy(
    session: Session, table: str, begin: int, end: int, changes: dict[str, str]
) -> None:
    """Copy the rows of the first group, with changes, for the groups from `begin` on."""
    model = {"schedule": Schedule, "tasks": Task}[table]
    names = [column.name for column in model.__table__.columns]
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(changes.get(name, f't."{name}"') for name in names)
    first = "t.id = 1" if table == "schedule" else f"t.id <= {len(CHECKS)}"
    series = (
        f"WITH RECURSIVE n(i) AS (SELECT {begin} UNION ALL SELECT i + 1 FROM n"
        f" WHERE i < {end - 1})"
    )
    session.execute(
        text(
            f"{series} INSERT INTO {table} ({columns})"  # names of columns
            f" SELECT {values} FROM {table} t CROSS JOIN n WHERE {first}"
        )
    )
