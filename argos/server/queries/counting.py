"""Rollups, written: counts and response times of hours that are over, and gaps."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from argos.core.rollup import HOURS, SLOTS, Counts, Kind, in_day, merge, pack, unpack
from argos.server.models import GroupDay, Schedule
from argos.server.queries.bulk import RowSource, is_sqlite, key_in

_KINDS = [kind.name.lower() for kind in Kind]
_TASK_DAYS = RowSource({
    "task_id": "bigint",
    "day": "integer",
    **dict.fromkeys(_KINDS, "integer"),
    "hours": "bytea",
})
_GROUP_DAYS = RowSource({
    "group_key": "bytea",
    "day": "integer",
    "latencies": "bytea",
    "hours": "bytea",
})
_GAPS = RowSource({
    "group_key": "bytea",
    "begin": "timestamptz",
    "end": "timestamptz",
    "missed": "integer",
})

_ADD_TASK_DAYS = f"""
INSERT INTO task_days ({", ".join(_TASK_DAYS.columns)})
SELECT {", ".join(_TASK_DAYS.columns)} FROM {{rows}} WHERE true
ON CONFLICT (task_id, day) DO UPDATE SET
  {", ".join(f"{kind} = task_days.{kind} + excluded.{kind}" for kind in _KINDS)},
  hours = {{joined_hours}}
"""  # noqa: S608  # names of columns
# The whole day's times were read and added before, so that they stay short.
_ADD_GROUP_DAYS = """
INSERT INTO group_days (group_key, day, latencies, hours)
SELECT group_key, day, latencies, hours FROM {rows} WHERE true
ON CONFLICT (group_key, day) DO UPDATE SET
  latencies = excluded.latencies, hours = {joined_hours}
"""
_ADD_GAPS = """
INSERT INTO gaps (group_key, "begin", "end", missed)
SELECT group_key, "begin", "end", missed FROM {rows} WHERE true
ON CONFLICT (group_key, "begin") DO UPDATE SET
  "end" = excluded."end", missed = excluded.missed
"""


class NewGap(NamedTuple):
    """Planned runs of a task group that never took place."""

    group_key: bytes
    begin: datetime
    end: datetime
    missed: int


def add_task_hours(session: Session, *, hours: Mapping[tuple[int, int], bytes]) -> None:
    """Add what was counted of tasks, by task and hour, to their days."""
    days: dict[tuple[int, int], bytes] = {}
    for (task_id, hour), tally in hours.items():
        key = task_id, hour // HOURS
        days[key] = days.get(key, b"") + in_day(tally, hour, base=len(Kind))
    rows = [
        (task_id, day, *_counts(tally), tally)
        for (task_id, day), tally in sorted(days.items())
    ]
    _TASK_DAYS.write(session, _joining(session, _ADD_TASK_DAYS, "task_days"), rows)


def _counts(tally: bytes) -> Counts:
    counts = unpack(tally).items()
    return Counts.of(merge({number % len(Kind): count} for number, count in counts))


def add_group_hours(
    session: Session, *, hours: Mapping[tuple[bytes, int], bytes]
) -> None:
    """Add the response times of task groups, by key and hour, to their days.

    The caller has locked the groups: nobody else adds to them meanwhile.
    """
    if not hours:
        return
    by_day: dict[tuple[bytes, int], bytes] = {}
    latencies = _list_latencies(session, hours)
    for (key, hour), tally in hours.items():
        place = key, hour // HOURS
        by_day[place] = by_day.get(place, b"") + in_day(tally, hour, base=SLOTS)
        latencies[place] = merge([latencies.get(place, {}), unpack(tally)])
    rows = [
        (key, day, pack(latencies[key, day]), tally)
        for (key, day), tally in sorted(by_day.items())
    ]
    _GROUP_DAYS.write(session, _joining(session, _ADD_GROUP_DAYS, "group_days"), rows)


def keep_open_latencies(session: Session, which: ColumnElement[bool]) -> None:
    """Add the open hours of task groups that are about to go to their days."""
    columns = Schedule.__table__.c
    rows = session.execute(
        select(columns.key, columns.open_hour, columns.open_latencies).where(
            which, columns.open_hour.is_not(None)
        )
    )
    add_group_hours(session, hours={(key, hour): tally for key, hour, tally in rows})


def _list_latencies(
    session: Session, hours: Mapping[tuple[bytes, int], bytes]
) -> dict[tuple[bytes, int], dict[int, int]]:
    keys = {key for key, _ in hours}
    days = {hour // HOURS for _, hour in hours}
    rows = session.execute(
        select(GroupDay.group_key, GroupDay.day, GroupDay.latencies).where(
            key_in(session, GroupDay.group_key, keys), GroupDay.day.in_(days)
        )
    )
    return {(key, day): unpack(tally) for key, day, tally in rows}


def add_gaps(session: Session, *, gaps: Sequence[NewGap]) -> None:
    """Store what was missed; each gap once."""
    _GAPS.write(session, _ADD_GAPS, sorted(gaps))


def _joining(session: Session, template: str, table: str) -> str:
    joined = f"{table}.hours || excluded.hours"
    if is_sqlite(session):
        joined = f"CAST({joined} AS BLOB)"
    return template.replace("{joined_hours}", joined)
