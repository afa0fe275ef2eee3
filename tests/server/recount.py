"""What the rollups hold, spread out again, to be compared with what was measured."""

from collections import Counter
from typing import Any

from sqlalchemy import select

from argos.core import rollup
from argos.core.rollup import Counts, Kind
from argos.server.database import Session
from argos.server.models import GroupDay, Schedule, Task, TaskDay


def read_kinds(session: Session) -> Counter[Any]:
    """How often each kind was counted of each task in each hour."""
    found: Counter[Any] = Counter()
    for row in session.scalars(select(TaskDay)):
        hours = rollup.hours_of_day(row.hours, base=len(Kind))
        for hour, counts in hours.items():
            for kind, count in counts.items():
                found[row.task_id, row.day * 24 + hour, kind] += count
        day = Counts.of(rollup.merge(hours.values()))
        assert day == (row.ok, row.warning, row.critical, row.unknown, row.maintenance)
    for task in session.scalars(select(Task)):
        for kind, count in rollup.unpack(task.open_counts or b"").items():
            found[task.id, task.open_hour, kind] += count
    return found


def read_slots(session: Session) -> Counter[Any]:
    """How often each slot of response times was counted of each group in each hour."""
    found: Counter[Any] = Counter()
    for row in session.scalars(select(GroupDay)):
        hours = rollup.hours_of_day(row.hours, base=rollup.SLOTS)
        for hour, counts in hours.items():
            for slot, count in counts.items():
                found[row.group_key, row.day * 24 + hour, slot] += count
        assert rollup.merge(hours.values()) == rollup.unpack(row.latencies)
        assert row.latencies == rollup.compact(row.latencies)
    for group in session.scalars(select(Schedule)):
        for slot, count in rollup.unpack(group.open_latencies or b"").items():
            found[group.key, group.open_hour, slot] += count
    return found
