"""What reconcile reads and writes: websites, task groups and tasks, set by set."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    bindparam as bind,
    delete,
    func,
    insert,
    null,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from argos.core.schedule import shard
from argos.core.severity import Severity
from argos.server.models import ConfigCache, Incident, Schedule, Task, Website
from argos.server.plan import (
    PresentTask,
    TaskAttributes,
    WantedGroup,
    WantedTask,
    WantedWebsite,
)

CHUNK_ROWS = 2_000
_RECONCILE_LOCK = 0x6172676F74
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Places:
    """Where tasks belong: the ids of websites by domain, of task groups by key."""

    website_ids: Mapping[str, int]
    group_ids: Mapping[bytes, int]


def lock_reconcile(session: Session) -> None:
    """Wait until no other process reconciles; held until the transaction ends."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(
            text("SELECT pg_advisory_xact_lock(:key)"), {"key": _RECONCILE_LOCK}
        )


def get_config_cache(session: Session) -> dict[str, str]:
    """What the applied config was."""
    rows = session.execute(select(ConfigCache.name, ConfigCache.val))
    return dict(rows.all())


def set_config_cache(
    session: Session, entries: Mapping[str, str], *, now: datetime
) -> None:
    """Remember what the applied config is."""
    session.execute(delete(ConfigCache).where(ConfigCache.name.in_(entries)))
    session.execute(
        insert(ConfigCache),
        [
            {"name": name, "val": value, "updated_at": now}
            for name, value in entries.items()
        ],
    )


def list_present_tasks(session: Session) -> dict[bytes, PresentTask]:
    """All tasks by key, the archived ones too."""
    rows = session.execute(
        select(
            Task.key,
            Task.id,
            Task.archived_at.is_not(None),
            Task.domain,
            Task.frequency,
            Task.recheck_delay,
            Task.retry_before_notification,
            Task.add_alerts_recipients,
            Task.overwrite_alerts_recipients,
            func.coalesce(Schedule.key, b""),
        ).outerjoin(Schedule, Schedule.id == Task.group_id)
    )
    return {
        key: PresentTask(
            id_,
            is_archived,
            TaskAttributes(*attributes),
        )
        for key, id_, is_archived, *attributes in rows
    }


def sync_websites(
    session: Session, wanted: Mapping[str, WantedWebsite], *, now: datetime
) -> dict[str, int]:
    """Make the websites match; return their ids by domain."""
    present = {
        row.domain: row
        for row in session.execute(
            select(
                Website.id,
                Website.domain,
                Website.name,
                Website.group_name,
                Website.tags,
                Website.archived_at,
            )
        )
    }
    added = [
        _website_row(site) for site in wanted.values() if site.domain not in present
    ]
    _insert(session, Website, added)
    changed = [
        _website_row(site) | {"id": present[site.domain].id}
        for site in wanted.values()
        if site.domain in present and _differs(present[site.domain], site)
    ]
    _update_by_id(session, Website, changed)
    gone = [
        {"id": row.id, "archived_at": now}
        for domain, row in present.items()
        if domain not in wanted and row.archived_at is None
    ]
    _update_by_id(session, Website, gone)
    return dict(session.execute(select(Website.domain, Website.id)).all())


def _website_row(site: WantedWebsite) -> dict[str, Any]:
    return {
        "domain": site.domain,
        "host": site.host,
        "name": site.name,
        "group_name": site.group_name,
        "tags": list(site.tags) or None,
        "archived_at": None,
    }


def _differs(row: Any, site: WantedWebsite) -> bool:
    wanted = (site.name, site.group_name, list(site.tags))
    return (
        row.archived_at is not None
        or (row.name, row.group_name, row.tags or []) != wanted
    )


def add_groups(
    session: Session, wanted: Mapping[bytes, WantedGroup], *, now: datetime
) -> dict[bytes, int]:
    """Add the task groups that are new, due at once; return all ids by key."""
    present = set(session.scalars(select(Schedule.key)))
    added = [
        {
            "key": group.key,
            "pool": int(group.pool),
            "shard": shard(group.key),
            "frequency": group.frequency,
            "timeout_s": group.timeout_s,
            "due_at": now,
            "lease_no": 0,
            "missed_runs": 0,
        }
        for group in wanted.values()
        if group.key not in present
    ]
    _insert(session, Schedule, added)
    return dict(session.execute(select(Schedule.key, Schedule.id)).all())


def change_groups(
    session: Session, wanted: Mapping[bytes, WantedGroup], *, now: datetime
) -> None:
    """Change the task groups that are wanted otherwise, and drop those without tasks.

    A group that runs more often now is due at once, so that it moves to its new grid.
    """
    rows = session.execute(
        select(
            Schedule.id,
            Schedule.key,
            Schedule.pool,
            Schedule.frequency,
            Schedule.timeout_s,
        ).order_by(Schedule.id)
    )
    changed, sooner = [], []
    for row in rows:
        group = wanted.get(row.key)
        if group is None or (row.pool, row.frequency, row.timeout_s) == (
            int(group.pool),
            group.frequency,
            group.timeout_s,
        ):
            continue
        changed.append({
            "id": row.id,
            "pool": int(group.pool),
            "frequency": group.frequency,
            "timeout_s": group.timeout_s,
        })
        if group.frequency < row.frequency:
            sooner.append(row.id)
    _update_by_id(session, Schedule, changed)
    _make_due(session, sooner, now=now)
    _drop_idle_groups(session)


def _make_due(session: Session, group_ids: Sequence[int], *, now: datetime) -> None:
    for chunk in _chunks(group_ids):
        session.execute(
            update(Schedule)
            .where(
                Schedule.id.in_(chunk),
                Schedule.leased_at.is_(None),
                Schedule.due_at > now,
            )
            .values(due_at=now)
        )


def lock_tasks(session: Session, task_ids: Iterable[int]) -> None:
    """Lock tasks in the order of their ids, as reports do: neither waits in a circle.

    Tasks come before task groups, there as here.
    """
    for chunk in _chunks(sorted(task_ids)):
        session.execute(
            select(Task.id)
            .where(Task.id.in_(chunk))
            .order_by(Task.id)
            .with_for_update(key_share=True)
        )


def add_tasks(
    session: Session,
    tasks: Iterable[WantedTask],
    *,
    places: Places,
) -> None:
    """Insert new tasks: severity unknown, never run."""
    rows = [
        {
            "key": task.key,
            "url": task.url,
            "method": task.method,
            "request_data": task.request_data,
            "check": task.check,
            "expected": task.expected,
            "ip_version": task.ip_version,
            "task_group": task.task_group,
            "severity": Severity.UNKNOWN,
        }
        | _attribute_row(task.attributes, places)
        for task in tasks
    ]
    _insert(session, Task, rows)


def update_tasks(
    session: Session,
    tasks: Iterable[tuple[int, WantedTask]],
    *,
    places: Places,
) -> None:
    """Give tasks their changed attributes, and archived ones their place back."""
    _update_by_id(
        session,
        Task,
        [
            _attribute_row(task.attributes, places) | {"id": id_, "archived_at": None}
            for id_, task in tasks
        ],
    )


def forget_leases(session: Session, task_ids: Sequence[int]) -> None:
    """Let tasks begin anew with the leases of the task group that they come back to."""
    for chunk in _chunks(task_ids):
        session.execute(
            update(Task).where(Task.id.in_(chunk)).values(applied_lease_no=0)
        )


def _attribute_row(
    attributes: TaskAttributes,
    places: Places,
) -> dict[str, Any]:
    return {
        "domain": attributes.domain,
        "frequency": attributes.frequency,
        "recheck_delay": attributes.recheck_delay,
        "retry_before_notification": attributes.retry_before_notification,
        "add_alerts_recipients": attributes.add_alerts_recipients,
        "overwrite_alerts_recipients": attributes.overwrite_alerts_recipients,
        "website_id": places.website_ids[attributes.domain],
        "group_id": places.group_ids[attributes.group_key],
    }


def archive_tasks(session: Session, task_ids: Sequence[int], *, now: datetime) -> None:
    """Take tasks out of the queue; history stays, open incidents end untold."""
    for chunk in _chunks(task_ids):
        session.execute(
            update(Task)
            .where(Task.id.in_(chunk))
            .values(
                archived_at=now,
                group_id=null(),
                told_severity=Severity.OK,
                contiguous_failures=0,
                failing_since=null(),
                already_retried=False,
            )
        )
        session.execute(
            update(Incident)
            .where(Incident.task_id.in_(chunk), Incident.closed_at.is_(None))
            .values(closed_at=now)
        )


def _drop_idle_groups(session: Session) -> None:
    session.execute(
        delete(Schedule).where(
            ~select(Task.id).where(Task.group_id == Schedule.id).exists()
        )
    )


def count_active_tasks(session: Session) -> int:
    """How many tasks are not archived."""
    return (
        session.scalar(
            select(func.count()).select_from(Task).where(Task.archived_at.is_(None))
        )
        or 0
    )


def _insert(session: Session, model: Any, rows: Sequence[dict[str, Any]]) -> None:
    for chunk in _chunks(rows):
        session.execute(insert(model.__table__), chunk)


def _update_by_id(session: Session, model: Any, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        return
    table = model.__table__
    columns = [name for name in rows[0] if name != "id"]
    statement = (
        update(table)
        .where(table.c.id == bind("row_id"))
        .values({name: bind(f"new_{name}") for name in columns})
    )
    for chunk in _chunks(rows):
        session.execute(
            statement,
            [
                {"row_id": row["id"]} | {f"new_{name}": row[name] for name in columns}
                for row in chunk
            ],
        )


def _chunks(rows: Sequence[_Row]) -> Iterable[Sequence[_Row]]:
    for start in range(0, len(rows), CHUNK_ROWS):
        yield rows[start : start + CHUNK_ROWS]
