"""Task groups that change, or to which tasks come: their locks, and their lease numbers."""

from sqlalchemy import (
    ColumnElement,
    Table,
    and_,
    case,
    func,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.orm import Session

from argos.server.models import Schedule, Task
from argos.server.plan import WantedGroup
from argos.server.queries.bulk import is_sqlite
from argos.server.queries.staging import (
    task_changes,
    wanted_groups,
    wanted_tasks,
)

LEASES_MEANWHILE = 1_000
"""More than a group can have had since it was looked how many it has had."""

_tasks: Table = Task.metadata.tables["tasks"]
_schedule: Table = Schedule.metadata.tables["schedule"]


def changed_groups() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Conditions: a task group is staged, and differs from what is staged."""
    differs = or_(
        *(
            _schedule.c[name].is_distinct_from(wanted_groups.c[name])
            for name in WantedGroup._fields
        )
    )
    return _schedule.c.key == wanted_groups.c.key, differs


def get_last_lease_no(session: Session) -> int:
    """The highest number of a lease that a task group has had, of those that are there."""
    return session.scalar(select(func.max(_schedule.c.lease_no))) or 0


def continue_leases(session: Session, *, last_lease_no: int) -> None:
    """Let task groups count on from where the leases of tasks stopped that come to them.

    So no task ever has two leases of the same number, by which its results are known.
    `last_lease_no` is the highest that any group ever had, also one that is gone.
    """
    left = _schedule.alias()
    # The last lease that was reported may be far behind the last one of the group.
    reported = func.max(_tasks.c.applied_lease_no)
    given_out = func.max(func.coalesce(left.c.lease_no, last_lease_no))
    last = case((reported > given_out, reported), else_=given_out)
    arriving = (
        select(_schedule.c.id, last.label("last_lease_no"))
        .select_from(task_changes)
        .join(_tasks, _tasks.c.id == task_changes.c.task_id)
        .join(wanted_tasks, wanted_tasks.c.key == _tasks.c.key)
        .join(_schedule, _schedule.c.key == wanted_tasks.c.group_key)
        .outerjoin(left, left.c.id == _tasks.c.group_id)
        # Those included that never reported: their first lease may be on its way.
        .where(_tasks.c.group_id.is_distinct_from(_schedule.c.id))
        .group_by(_schedule.c.id)
        .subquery()
    )
    is_behind = and_(
        _schedule.c.id == arriving.c.id,
        _schedule.c.lease_no <= arriving.c.last_lease_no + LEASES_MEANWHILE,
    )
    # With those that `change_groups` changes: in the order of their ids, all at once.
    # Found once: as a part of the statement around it, it would be for each group.
    lock(
        session,
        _schedule,
        _schedule.c.id.in_(
            union(
                select(_schedule.c.id).where(is_behind).correlate(None),
                select(_schedule.c.id).where(*changed_groups()).correlate(None),
            )
        ),
    )
    session.execute(
        update(_schedule)
        .where(is_behind)
        .values(lease_no=arriving.c.last_lease_no + LEASES_MEANWHILE + 1)
    )


def lock(session: Session, table: Table, which: ColumnElement[bool]) -> None:
    """Lock rows in the order of their ids; SQLite has one writer at a time anyway."""
    if is_sqlite(session):
        return
    locked = (
        select(table.c.id)
        .where(which)
        .order_by(table.c.id)
        .with_for_update(key_share=True, of=table)
        .subquery()
    )
    session.execute(select(func.count()).select_from(locked))
