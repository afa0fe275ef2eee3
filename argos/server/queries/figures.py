"""What there is to say of some checks in one span of time, or in several at once.

A website's page shows a day up to a year: all of it is read once, whatever the number of
spans.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from argos.core.rollup import (
    HOURS,
    SLOTS,
    Counts,
    hours_of_day,
    merge,
    missed_within,
    percentile_us,
    unpack,
)
from argos.core.schedule import EPOCH, effective_period, missed_runs
from argos.server.models import Gap, TaskDay
from argos.server.queries import rollups
from argos.server.queries.bulk import id_in, key_in
from argos.server.queries.rollups import HOUR, KINDS, HourSpan, Slots


@dataclass(frozen=True, slots=True)
class Figures:
    """What there is to say of some checks in a span of time."""

    counts: Counts
    missed: int
    """Planned runs of task groups that never took place."""
    p50_us: int | None
    p95_us: int | None
    p99_us: int | None

    @property
    def uptime(self) -> float | None:
        """The share of what was up, of what was up or down."""
        return self.counts.uptime


def list_figures(
    session: Session,
    *,
    task_ids: Collection[int],
    group_ids: Collection[int],
    spans: Sequence[HourSpan],
    now: datetime,
) -> list[Figures]:
    """The figures of some tasks, and of the task groups that they are in, by span."""
    groups = rollups.list_groups(session, group_ids)
    counts = _list_counts(session, task_ids, spans)
    slots = _list_slots(session, groups, spans)
    missed = _list_missed(session, groups, spans, now)
    return [
        Figures(
            counts=count,
            missed=runs,
            p50_us=percentile_us(times, 0.50),
            p95_us=percentile_us(times, 0.95),
            p99_us=percentile_us(times, 0.99),
        )
        for count, times, runs in zip(counts, slots, missed, strict=True)
    ]


def _days_of(spans: Sequence[HourSpan]) -> range:
    """All days that any of the spans touches, and what lies between."""
    begin = min(span.begin for span in spans) // HOURS
    return range(begin, -(-max(span.end for span in spans) // HOURS))


# -- counts of tasks


def _list_counts(
    session: Session, task_ids: Collection[int], spans: Sequence[HourSpan]
) -> list[Counts]:
    if not task_ids:
        return [Counts() for _ in spans]
    sums = _sums_by_day(session, task_ids, _days_of(spans))
    edges = _edges(session, task_ids, {day for span in spans for day in span.edge_days})
    open_hours = list(rollups.list_open_counts(session, task_ids))
    return [
        _sum(
            chain(
                (sums[day] for day in span.whole_days if day in sums),
                (each for day in span.edge_days for each in _held(edges[day], span)),
                (each for _, hour, each in open_hours if span.holds(hour)),
            )
        )
        for span in spans
    ]


def _sum(counts: Iterable[Counts]) -> Counts:
    return Counts(*map(sum, zip(Counts(), *counts, strict=True)))


def _sums_by_day(
    session: Session, task_ids: Collection[int], days: range
) -> dict[int, Counts]:
    rows = session.execute(
        select(TaskDay.day, *map(func.sum, KINDS))
        .where(
            id_in(session, TaskDay.task_id, task_ids),
            TaskDay.day.between(days.start, days.stop - 1),
        )
        .group_by(TaskDay.day)
    )
    return {day: Counts(*map(int, sums)) for day, *sums in rows}


@dataclass(frozen=True, slots=True)
class _Edge:
    """A day of a task, to be counted hour by hour."""

    day: int
    hours: bytes
    """Empty: they are kept no longer."""
    counts: Counts


def _edges(
    session: Session, task_ids: Collection[int], days: Collection[int]
) -> Mapping[int, Sequence[_Edge]]:
    found: dict[int, list[_Edge]] = defaultdict(list)
    rows = session.execute(
        select(TaskDay.day, TaskDay.hours, *KINDS).where(
            id_in(session, TaskDay.task_id, task_ids), TaskDay.day.in_(sorted(days))
        )
    )
    for day, hours, *sums in rows:
        found[day].append(_Edge(day, hours or b"", Counts(*sums)))
    return found


def _held(edges: Iterable[_Edge], span: HourSpan) -> Iterable[Counts]:
    """What of some days is in a span; the whole day where its hours are gone."""
    for edge in edges:
        if not edge.hours:
            yield edge.counts
        for hour, counts in rollups.counts_by_hour(edge.hours):
            if span.holds(edge.day * HOURS + hour):
                yield counts


# -- response times of task groups


def _list_slots(
    session: Session, groups: Mapping[bytes, Any], spans: Sequence[HourSpan]
) -> list[Slots]:
    by_day: dict[int, list[tuple[Slots, bytes | None]]] = defaultdict(list)
    for _, day, latencies, hours in rollups.list_group_days(
        session, groups, _days_of(spans)
    ):
        by_day[day].append((unpack(latencies), hours))
    whole = {day: merge(slots for slots, _ in found) for day, found in by_day.items()}
    open_hours = [
        (group.open_hour, unpack(group.open_latencies or b""))
        for group in groups.values()
    ]
    return [
        merge(
            chain(
                (whole[day] for day in span.whole_days if day in whole),
                (
                    slots
                    for day in span.edge_days
                    for found, hours in by_day.get(day, ())
                    for slots in _slots_within(day, found, hours, span)
                ),
                (slots for hour, slots in open_hours if span.holds(hour)),
            )
        )
        for span in spans
    ]


def _slots_within(
    day: int, whole: Slots, hours: bytes | None, span: HourSpan
) -> Iterable[Slots]:
    if not hours:
        yield whole
        return
    for hour, slots in hours_of_day(hours, base=SLOTS).items():
        if span.holds(day * HOURS + hour):
            yield slots


# -- what was not measured


def _list_missed(
    session: Session,
    groups: Mapping[bytes, Any],
    spans: Sequence[HourSpan],
    now: datetime,
) -> list[int]:
    """How many planned runs never took place.

    A gap that lasts counts too: what is due for longer than a period is missed.
    """
    gaps = [*_closed_gaps(session, groups, spans), *_lasting_gaps(groups.values(), now)]
    return [
        sum(
            missed_within(*gap, since=span.since, until=EPOCH + span.end * HOUR)
            for gap in gaps
        )
        for span in spans
    ]


_Gap = tuple[datetime, datetime, int]
"""Begin, end, and how many runs were missed."""


def _closed_gaps(
    session: Session, groups: Mapping[bytes, Any], spans: Sequence[HourSpan]
) -> list[_Gap]:
    if not groups:
        return []
    rows = session.execute(
        select(Gap.begin, Gap.end, Gap.missed).where(
            key_in(session, Gap.group_key, list(groups)),
            Gap.begin < EPOCH + max(span.end for span in spans) * HOUR,
            Gap.end > min(span.since for span in spans),
        )
    )
    return [(begin, end, missed) for begin, end, missed in rows]


def _lasting_gaps(groups: Iterable[Any], now: datetime) -> Iterable[_Gap]:
    for group in groups:
        frequency = timedelta(minutes=group.frequency)
        count = missed_runs(group.next_run, now, frequency)
        if count:
            end = group.next_run + count * effective_period(frequency)
            yield group.next_run, end, count
