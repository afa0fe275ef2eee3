"""Rollups, read: what was measured in a span of time, without looking at results.

A span is made of whole hours. Whole days of it are read as such, the days at its ends
hour by hour; of the hour that is still open the counts stand beside the task's and the
task group's state. Where a day's hours are kept no longer, the whole day is meant.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from argos.core.rollup import (
    HOURS,
    SLOTS,
    Counts,
    Kind,
    hour_of,
    hours_of_day,
    merge,
    unpack,
)
from argos.core.schedule import EPOCH
from argos.server.models import GroupDay, Schedule, Task, TaskDay
from argos.server.queries.bulk import id_in, key_in

KINDS = [TaskDay.__table__.c[kind.name.lower()] for kind in Kind]
HOUR = timedelta(hours=1)
Slots = dict[int, int]
"""How many response times there were in each slot."""


@dataclass(frozen=True, slots=True)
class HourSpan:
    """Whole hours, counted from 1970 on; `end` is the first one after them."""

    begin: int
    end: int

    @classmethod
    def until(cls, now: datetime, length: timedelta) -> "HourSpan":
        """So much time up to now; the hour of `now` is in it as far as it has come."""
        end = hour_of(now) + 1
        return cls(end - max(1, -(-length // HOUR)), end)

    @property
    def since(self) -> datetime:
        """The moment at which the span begins."""
        return EPOCH + self.begin * HOUR

    @property
    def edge_days(self) -> list[int]:
        """The days that lie in the span only in part, or may."""
        edges = {self.begin // HOURS, (self.end - 1) // HOURS}
        return [day for day in sorted(edges) if day not in self.whole_days]

    @property
    def whole_days(self) -> range:
        """The days that lie in the span as a whole."""
        return range(-(-self.begin // HOURS), self.end // HOURS)

    def holds(self, hour: int | None) -> bool:
        """Whether an hour is in the span."""
        return hour is not None and self.begin <= hour < self.end


# -- counts of tasks


def list_open_counts(
    session: Session, task_ids: Collection[int]
) -> Iterator[tuple[int, int, Counts]]:
    """Task, hour and counts: of the hours that are still open."""
    rows = session.execute(
        select(Task.id, Task.open_hour, Task.open_counts).where(
            id_in(session, Task.id, task_ids), Task.open_hour.is_not(None)
        )
    )
    for task_id, hour, tally in rows:
        assert hour is not None
        yield task_id, hour, Counts.of(unpack(tally or b""))


def list_hourly_counts(
    session: Session, *, task_ids: Collection[int], span: HourSpan
) -> Mapping[int, Counts]:
    """How often each severity was measured of some tasks, by hour; gaps left out."""
    return list_hourly_counts_by(session, tasks={0: task_ids}, span=span)[0]


def list_hourly_counts_by(
    session: Session, *, tasks: Mapping[int, Collection[int]], span: HourSpan
) -> Mapping[int, Mapping[int, Counts]]:
    """The same of several owners, each with its tasks."""
    owners = {task_id: owner for owner, ids in tasks.items() for task_id in ids}
    found: dict[int, dict[int, Counts]] = {
        owner: defaultdict(Counts) for owner in tasks
    }
    if not owners:
        return found
    days = range(span.begin // HOURS, -(-span.end // HOURS))
    rows = session.execute(
        select(TaskDay.task_id, TaskDay.day, TaskDay.hours).where(
            id_in(session, TaskDay.task_id, owners),
            TaskDay.day.between(days.start, days.stop - 1),
        )
    )
    for task_id, day, tally in rows:
        hours = found[owners[task_id]]
        for hour, counts in counts_by_hour(tally):
            hours[day * HOURS + hour] = hours[day * HOURS + hour].plus(counts)
    for task_id, hour, counts in list_open_counts(session, owners):
        hours = found[owners[task_id]]
        hours[hour] = hours[hour].plus(counts)
    return {
        owner: {hour: hours[hour] for hour in sorted(hours) if span.holds(hour)}
        for owner, hours in found.items()
    }


@lru_cache(maxsize=4096)  # most days of a fleet are alike
def counts_by_hour(tally: bytes) -> Sequence[tuple[int, Counts]]:
    """What a day's tally counts, by the hour of the day."""
    hours = hours_of_day(tally, base=len(Kind))
    return [(hour, Counts.of(kinds)) for hour, kinds in hours.items()]


def list_daily_counts(
    session: Session, *, task_ids: Collection[int], first_day: int, last_day: int
) -> dict[int, Counts]:
    """How often each severity was measured of some tasks, by day; gaps left out."""
    found: dict[int, Counts] = defaultdict(Counts)
    if not task_ids:
        return found
    for day, *sums in session.execute(
        select(TaskDay.day, *map(func.sum, KINDS))
        .where(
            id_in(session, TaskDay.task_id, task_ids),
            TaskDay.day.between(first_day, last_day),
        )
        .group_by(TaskDay.day)
    ):
        found[day] = Counts(*map(int, sums))
    for _, hour, counts in list_open_counts(session, task_ids):
        day = hour // HOURS
        if first_day <= day <= last_day:
            found[day] = found[day].plus(counts)
    return dict(sorted(found.items()))


# -- response times of task groups


def list_group_slots(
    session: Session, *, group_ids: Collection[int], span: HourSpan
) -> dict[int, Slots]:
    """The response times of some task groups in a span, by group."""
    groups = list_groups(session, group_ids)
    slots: dict[int, list[Mapping[int, int]]] = defaultdict(list)
    days = range(span.begin // HOURS, -(-span.end // HOURS))
    for key, day, latencies, hours in list_group_days(session, groups, days):
        if day in span.whole_days or not hours:
            slots[groups[key].id].append(unpack(latencies))
            continue
        for hour, found in hours_of_day(hours, base=SLOTS).items():
            if span.holds(day * HOURS + hour):
                slots[groups[key].id].append(found)
    for group in groups.values():
        if span.holds(group.open_hour):
            slots[group.id].append(unpack(group.open_latencies or b""))
    return {id_: merge(found) for id_, found in slots.items()}


def list_hourly_slots(
    session: Session, *, task_id: int, span: HourSpan
) -> dict[int, Slots]:
    """The response times of a task's group in a span, by hour; gaps left out."""
    group_ids = session.scalars(
        select(Task.group_id).where(Task.id == task_id, Task.group_id.is_not(None))
    )
    groups = list_groups(session, [id_ for id_ in group_ids if id_ is not None])
    days = range(span.begin // HOURS, -(-span.end // HOURS))
    found = {
        day * HOURS + hour: slots
        for _, day, _, hours in list_group_days(session, groups, days)
        for hour, slots in hours_of_day(hours, base=SLOTS).items()
    }
    for group in groups.values():
        if group.open_hour is not None:
            counted = [
                found.get(group.open_hour, {}),
                unpack(group.open_latencies or b""),
            ]
            found[group.open_hour] = merge(counted)
    return {hour: found[hour] for hour in sorted(found) if span.holds(hour)}


def list_group_days(
    session: Session, groups: Mapping[bytes, Any], days: range
) -> Sequence[Any]:
    """Key, day, tally and tally by hour of some task groups, named by their keys."""
    if not groups:
        return []
    return session.execute(
        select(
            GroupDay.group_key, GroupDay.day, GroupDay.latencies, GroupDay.hours
        ).where(
            key_in(session, GroupDay.group_key, list(groups)),
            GroupDay.day.between(days.start, days.stop - 1),
        )
    ).all()


def list_groups(session: Session, group_ids: Collection[int]) -> dict[bytes, Any]:
    """Some task groups, by their keys."""
    if not group_ids:
        return {}
    columns = Schedule.__table__.c
    rows = session.execute(
        select(
            columns.id,
            columns.key,
            columns.frequency,
            columns.next_run,
            columns.open_hour,
            columns.open_latencies,
        ).where(id_in(session, Schedule.id, group_ids))
    )
    return {row.key: row for row in rows}
