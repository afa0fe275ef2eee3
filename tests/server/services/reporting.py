"""A server as agents see it that report, and what they report."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from argos.protocol import ReportAnswer
from argos.schemas import Config
from argos.server.database import Database
from argos.server.models import Task
from argos.server.queries.leased import LeasedTask
from argos.server.queries.leases import lease_groups
from argos.server.services.ingest import ingest

SECOND = timedelta(seconds=1)


@dataclass
class Server:
    """A server as an agent sees it, at a moment that moves on by hand."""

    database: Database
    config: Config
    now: datetime

    def lease(self, agent: str = "anna") -> list[LeasedTask]:
        with self.database.transaction() as session:
            return lease_groups(
                session, agent=agent, pools=[0, 1, 2, 3], limit=500, now=self.now
            ).read_tasks()

    def post(self, items: list[Any], agent: str = "anna") -> ReportAnswer:
        return ingest(
            self.database, agent=agent, items=items, config=self.config, now=self.now
        )

    def run(self, status: str = "success", **changes: Any) -> ReportAnswer:
        """Lease what is due and report the same of all of it, a second later."""
        items = [measured(task, status, **changes) for task in self.lease()]
        self.now += SECOND
        return self.post(items)

    def all(self, model: type[Any]) -> list[Any]:
        with self.database.reading() as session:
            return list(session.scalars(select(model).order_by(model.id)))

    def one(self, model: type[Any]) -> Any:
        (row,) = self.all(model)
        return row

    def change_tasks(self, **values: Any) -> None:
        with self.database.transaction() as session:
            session.execute(update(Task).values(**values))


def measured(
    task: LeasedTask, status: str = "success", **changes: Any
) -> dict[str, Any]:
    """What one of our agents reports of a task, measured in a second."""
    return {
        "task_id": task.id,
        "status": status,
        "context": {},
        "lease_no": task.lease_no,
        "leased_at": task.leased_at.isoformat(),
        "elapsed_us": 1_000_000,
        **changes,
    }


def legacy(task: LeasedTask, status: str = "success") -> dict[str, Any]:
    """What an agent of 0.10.3 reports."""
    return {"task_id": task.id, "status": status, "context": {}}


def reasons(answer: ReportAnswer) -> list[tuple[int, str]]:
    return [(refusal.index, refusal.reason) for refusal in answer.refused]
