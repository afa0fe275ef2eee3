"""The phase chart of a task, from its results."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from argos.server import charts, strips
from argos.server.charts import PhaseChart, Sample
from argos.server.database import Session
from argos.server.queries import history
from argos.server.strips import Span

CHART_STRETCHES = 96


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


def phase_chart(
    session: Session,
    *,
    task_id: int,
    chart_range: ChartRange,
    now: datetime,
    incidents: Sequence[tuple[datetime, datetime]] = (),
) -> TimedChart:
    """Draw a task's response time by phase."""
    span = strips.last_span(now, length=chart_range.length, count=CHART_STRETCHES)
    found = history.list_phase_samples(
        session, task_id=task_id, since=span.since, width=span.width
    )
    samples = [
        Sample(
            bucket=sample.bucket,
            phases=tuple(phase / 1000 for phase in sample.phases),
            p95=sample.p95_us / 1000,
            count=sample.count,
        )
        for sample in found
    ]
    drawings = [
        (
            kind,
            charts.draw_phases(samples, span, incidents=incidents, frame=frame),
        )
        for kind, frame in (("wide", charts.WIDE), ("narrow", charts.NARROW))
    ]
    return TimedChart(drawings, samples, span)
