"""How much the config names, as the last reload counted it.

Nothing else adds or archives tasks and websites, and to count a million takes a tenth of
a second or more.
"""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from argos.server.models import ConfigCache, Task, Website
from argos.server.queries.sync import set_config_cache

Counted = type[Task] | type[Website]
_NAMES: dict[Counted, str] = {Task: "task_count", Website: "website_count"}


def count(session: Session, table: Counted) -> int:
    """How many rows are not archived.

    When the newest row is another than it was, somebody has added some by hand.
    """
    entry = session.scalar(
        select(ConfigCache.val).where(ConfigCache.name == _NAMES[table])
    )
    if entry is not None:
        counted, newest = map(int, entry.split())
        if newest == _newest(session, table):
            return counted
    return _count(session, table)


def remember(session: Session, *, now: datetime) -> None:
    """Count, at the end of a reload."""
    entries = {
        name: f"{_count(session, table)} {_newest(session, table)}"
        for table, name in _NAMES.items()
    }
    set_config_cache(session, entries, now=now)


def _count(session: Session, table: Counted) -> int:
    active = select(func.count()).select_from(table).where(table.archived_at.is_(None))
    return session.scalar(active) or 0


def _newest(session: Session, table: Counted) -> int:
    return session.scalar(select(func.max(table.id))) or 0
