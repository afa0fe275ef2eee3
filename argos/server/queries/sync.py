"""What reconcile makes of the staged websites, task groups and tasks, set by set.

Each statement says what differs, so that what agrees costs a comparison and no write.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Table,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from argos.core.flapping import FRESH
from argos.core.severity import Severity
from argos.server.models import ConfigCache, Incident, Task
from argos.server.plan import WantedGroup, WantedWebsite
from argos.server.queries.arrival import changed_groups, lock
from argos.server.queries.bulk import RowSource, is_sqlite
from argos.server.queries.counting import keep_open_latencies
from argos.server.queries.staging import (
    ATTRIBUTES,
    IDENTITY,
    task_changes,
    wanted_groups,
    wanted_tasks,
    wanted_websites,
)

_RECONCILE_LOCK = 0x6172676F74

# The tables' own columns: no statement here is about objects.
_tasks: Table = Task.metadata.tables["tasks"]
_schedule: Table = Task.metadata.tables["schedule"]
_websites: Table = Task.metadata.tables["websites"]

_WEBSITE_COLUMNS = WantedWebsite._fields
_GROUP_COLUMNS = WantedGroup._fields


class _Kind(StrEnum):
    """What happens to a task that is there."""

    UPDATE = "update"
    RESTORE = "restore"
    """Archived, and the config names it again; counted as added."""
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class Changes:
    """How many of the tasks that are there change."""

    updated: int
    restored: int
    archived: int


_CACHE = RowSource({"name": "text", "val": "text", "updated_at": "timestamptz"})
_SET_CACHE = """
INSERT INTO config_cache (name, val, updated_at)
SELECT name, val, updated_at FROM {rows} WHERE true
ON CONFLICT (name) DO UPDATE SET
  val = excluded.val, updated_at = excluded.updated_at
"""


def lock_reconcile(session: Session) -> None:
    """Wait until no other process reconciles; held until the transaction ends."""
    if not is_sqlite(session):
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
    # In the order of their names: two that do this at once do not wait in a circle.
    rows = [(name, value, now) for name, value in sorted(entries.items())]
    _CACHE.write(session, _SET_CACHE, rows)


def gather_statistics(session: Session) -> None:
    """Let PostgreSQL know at once how much there is, not when it comes to look itself."""
    if not is_sqlite(session):
        session.execute(text("ANALYZE tasks, schedule, websites"))


def count_active_tasks(session: Session) -> int:
    """How many tasks are not archived."""
    return (
        session.scalar(
            select(func.count())
            .select_from(_tasks)
            .where(_tasks.c.archived_at.is_(None))
        )
        or 0
    )


def find_changes(session: Session) -> Changes:
    """Compare the tasks that are there with the staged ones; remember what differs."""
    is_wanted = wanted_tasks.c.key.is_not(None)
    is_archived = _tasks.c.archived_at.is_not(None)
    differs = or_(
        _schedule.c.key.is_distinct_from(wanted_tasks.c.group_key),
        *(_differs(_tasks, wanted_tasks, name) for name in ATTRIBUTES),
    )
    kind = case(
        (~is_wanted, literal(_Kind.ARCHIVE.value)),
        (is_archived, literal(_Kind.RESTORE.value)),
        else_=literal(_Kind.UPDATE.value),
    )
    found = (
        select(_tasks.c.id, kind)
        .select_from(_tasks)
        .outerjoin(wanted_tasks, wanted_tasks.c.key == _tasks.c.key)
        .outerjoin(_schedule, _schedule.c.id == _tasks.c.group_id)
        .where(
            or_(
                and_(~is_wanted, ~is_archived),
                and_(is_wanted, or_(is_archived, differs)),
            )
        )
    )
    session.execute(insert(task_changes).from_select(["task_id", "kind"], found))
    if not is_sqlite(session):
        session.execute(text("ANALYZE task_changes"))
    counts: dict[str, int] = dict(
        session.execute(
            select(task_changes.c.kind, func.count()).group_by(task_changes.c.kind)
        ).all()
    )
    return Changes(
        updated=counts.get(_Kind.UPDATE, 0),
        restored=counts.get(_Kind.RESTORE, 0),
        archived=counts.get(_Kind.ARCHIVE, 0),
    )


def lock_changing_tasks(session: Session) -> None:
    """Lock tasks in the order of their ids, as reports do: neither waits in a circle.

    Tasks come before task groups, there as here.
    """
    lock(session, _tasks, _tasks.c.id.in_(select(task_changes.c.task_id)))


def list_told_leaving(session: Session) -> Sequence[int]:
    """The tasks that are going to be archived and of whose problem people know."""
    return session.scalars(
        select(_tasks.c.id)
        .join(task_changes, task_changes.c.task_id == _tasks.c.id)
        .where(
            task_changes.c.kind == _Kind.ARCHIVE.value,
            _tasks.c.told_severity != Severity.OK,
        )
    ).all()


def change_websites(session: Session, *, now: datetime) -> None:
    """Make the websites match."""
    wanted = wanted_websites
    is_same = _websites.c.domain == wanted.c.domain
    _add(session, _websites, wanted, _WEBSITE_COLUMNS, is_same)
    session.execute(
        update(_websites)
        .where(
            is_same,
            or_(
                _websites.c.archived_at.is_not(None),
                *(_differs(_websites, wanted, name) for name in _WEBSITE_COLUMNS),
            ),
        )
        .values(_taken_from(wanted, _WEBSITE_COLUMNS) | {"archived_at": null()})
    )
    session.execute(
        update(_websites)
        .where(
            _websites.c.archived_at.is_(None),
            ~select(wanted.c.domain).where(is_same).exists(),
        )
        .values(archived_at=now)
    )


def add_groups(session: Session, *, now: datetime) -> None:
    """Add the task groups that are new, due at once."""
    is_same = _schedule.c.key == wanted_groups.c.key
    columns = (*_GROUP_COLUMNS, "shard")
    _add(session, _schedule, wanted_groups, columns, is_same, due_at=now)


def change_groups(session: Session, *, now: datetime) -> None:
    """Change the task groups that are wanted otherwise, and drop those without tasks.

    A group that runs more often now is due at once, so that it moves to its new grid.
    """
    wanted = wanted_groups
    changed = changed_groups()
    lock(
        session,
        _schedule,
        _schedule.c.id.in_(select(_schedule.c.id).where(*changed).correlate(None)),
    )
    is_sooner = and_(
        wanted.c.frequency < _schedule.c.frequency,
        _schedule.c.leased_at.is_(None),
        _schedule.c.due_at > now,
    )
    moved = case(
        (is_sooner, literal(now, _schedule.c.due_at.type)), else_=_schedule.c.due_at
    )
    session.execute(
        update(_schedule)
        .where(*changed)
        .values(_taken_from(wanted, _GROUP_COLUMNS) | {"due_at": moved})
    )
    is_idle = ~select(_tasks.c.id).where(_tasks.c.group_id == _schedule.c.id).exists()
    lock(session, _schedule, is_idle)
    keep_open_latencies(session, is_idle)
    session.execute(delete(_schedule).where(is_idle))


def add_tasks(session: Session) -> int:
    """Insert new tasks: severity unknown, never run; return how many."""
    columns = (*IDENTITY, *ATTRIBUTES)
    new = (
        select(
            *(wanted_tasks.c[name] for name in columns),
            _websites.c.id,
            _schedule.c.id,
            literal(Severity.UNKNOWN, _tasks.c.severity.type),
        )
        .select_from(wanted_tasks)
        .join(_websites, _websites.c.domain == wanted_tasks.c.domain)
        .join(_schedule, _schedule.c.key == wanted_tasks.c.group_key)
        .where(~select(_tasks.c.id).where(_tasks.c.key == wanted_tasks.c.key).exists())
        # Pages list tasks by their ids, in the order of the config.
        .order_by(wanted_tasks.c.position)
    )
    names = [*columns, "website_id", "group_id", "severity"]
    statement = insert(_tasks).from_select(names, new)
    added: Any = session.execute(
        statement, execution_options={"preserve_rowcount": True}
    )
    return int(added.rowcount)


def update_tasks(session: Session) -> None:
    """Give tasks their changed attributes, and archived ones their place back."""
    session.execute(
        update(_tasks)
        .where(
            _tasks.c.id == task_changes.c.task_id,
            task_changes.c.kind != _Kind.ARCHIVE.value,
            wanted_tasks.c.key == _tasks.c.key,
            _websites.c.domain == wanted_tasks.c.domain,
            _schedule.c.key == wanted_tasks.c.group_key,
        )
        .values(
            _taken_from(wanted_tasks, ATTRIBUTES)
            | {
                "website_id": _websites.c.id,
                "group_id": _schedule.c.id,
                "archived_at": null(),
            }
        )
    )


def archive_tasks(session: Session, *, now: datetime) -> None:
    """Take tasks out of the queue; history stays.

    Open incidents of which people know have been ended before.
    """
    gone = select(task_changes.c.task_id).where(
        task_changes.c.kind == _Kind.ARCHIVE.value
    )
    session.execute(
        update(_tasks)
        .where(_tasks.c.id.in_(gone))
        .values(
            archived_at=now,
            group_id=null(),
            told_severity=Severity.OK,
            contiguous_failures=0,
            contiguous_successes=0,
            failing_since=null(),
            already_retried=False,
            is_flapping=False,
            run_history=FRESH,
            seen_by=null(),
            confirming_since=null(),
            doubted_agent=null(),
            doubted_since=null(),
        )
    )
    session.execute(
        update(Incident)
        .where(Incident.task_id.in_(gone), Incident.closed_at.is_(None))
        .values(closed_at=now)
        .execution_options(synchronize_session=False)
    )


def _differs(present: Table, wanted: Table, column: str) -> ColumnElement[bool]:
    return present.c[column].is_distinct_from(wanted.c[column])


def _taken_from(wanted: Table, columns: tuple[str, ...]) -> dict[str, Any]:
    return {name: wanted.c[name] for name in columns}


def _add(
    session: Session,
    table: Table,
    wanted: Table,
    columns: tuple[str, ...],
    is_same: ColumnElement[bool],
    **fixed: Any,
) -> None:
    """Insert the staged rows that are new, in the order of the config."""
    values = [literal(value, table.c[name].type) for name, value in fixed.items()]
    new = (
        select(*(wanted.c[name] for name in columns), *values)
        .where(~select(table.c.id).where(is_same).exists())
        .order_by(wanted.c.position)
    )
    session.execute(insert(table).from_select([*columns, *fixed], new))
