"""The phase chart of a task, from its results; where these are thin, from rollups too."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from argos.core.rollup import hour_of, merge, percentile_us
from argos.server import charts, strips
from argos.server.charts import PhaseChart, Sample
from argos.server.database import Session
from argos.server.queries import history, rollups
from argos.server.queries.history import PhaseSample
from argos.server.queries.rollups import HourSpan
from argos.server.strips import Span

CHART_STRETCHES = 96
_HOUR = timedelta(hours=1)


class ChartRange(StrEnum):
    """How far back a chart goes."""

    HOURS = "6h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"

    @property
    def length(self) -> timedelta:
        return _LENGTHS[self]

    @property
    def words(self) -> str:
        return _WORDS[self]


_LENGTHS = {
    ChartRange.HOURS: timedelta(hours=6),
    ChartRange.DAY: timedelta(hours=24),
    ChartRange.WEEK: timedelta(days=7),
    ChartRange.MONTH: timedelta(days=30),
}
_WORDS = {
    ChartRange.HOURS: "6 hours",
    ChartRange.DAY: "24 hours",
    ChartRange.WEEK: "7 days",
    ChartRange.MONTH: "30 days",
}


@dataclass(frozen=True, slots=True)
class TimedChart:
    """A phase chart with the figures it was drawn from."""

    drawings: Sequence[tuple[str, PhaseChart]]
    """The same for wide and for narrow screens."""
    samples: Sequence[Sample]
    span: Span
    is_thinned: bool
    """Whether the phases are those of one probe an hour."""


def phase_chart(
    session: Session,
    *,
    task_id: int,
    chart_range: ChartRange,
    now: datetime,
    incidents: Sequence[tuple[datetime, datetime]] = (),
) -> TimedChart:
    """Draw a task's response time by phase."""
    is_thinned = history.is_thinned(
        session, task_id=task_id, since=now - chart_range.length
    )
    count = _whole_hours(chart_range.length) if is_thinned else CHART_STRETCHES
    span = strips.last_span(now, length=chart_range.length, count=count)
    found = history.list_phase_samples(
        session, task_id=task_id, since=span.since, width=span.width
    )
    samples = [_sample(each) for each in found]
    if is_thinned:
        samples = _with_all_probes(session, samples, span, task_id=task_id, now=now)
    drawings = [
        (
            kind,
            charts.draw_phases(samples, span, incidents=incidents, frame=frame),
        )
        for kind, frame in (("wide", charts.WIDE), ("narrow", charts.NARROW))
    ]
    return TimedChart(drawings, samples, span, is_thinned)


def _whole_hours(length: timedelta) -> int:
    """Into how many stretches to cut a time, so that each is made of whole hours."""
    hours = length // _HOUR
    step = -(-hours // CHART_STRETCHES)
    return hours // step


def _sample(sample: PhaseSample) -> Sample:
    return Sample(
        bucket=sample.bucket,
        phases=tuple(phase / 1000 for phase in sample.phases),
        p95=sample.p95_us / 1000,
        count=sample.count,
    )


def _with_all_probes(
    session: Session,
    samples: Sequence[Sample],
    span: Span,
    *,
    task_id: int,
    now: datetime,
) -> list[Sample]:
    """The samples with the number of all probes, and with their percentile."""
    hours = HourSpan.until(now, span.count * span.width)
    slots = rollups.list_hourly_slots(session, task_id=task_id, span=hours)
    counts = rollups.list_hourly_counts(session, task_ids=[task_id], span=hours)
    changed = []
    for sample in samples:
        begin = hour_of(span.begin(sample.bucket))
        within = range(begin, begin + span.width // _HOUR)
        p95_us = percentile_us(merge(slots.get(hour, {}) for hour in within), 0.95)
        changed.append(
            replace(
                sample,
                p95=sample.p95 if p95_us is None else p95_us / 1000,
                count=sum(counts[hour].total for hour in within if hour in counts),
            )
        )
    return changed
