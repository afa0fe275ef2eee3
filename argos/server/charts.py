"""Phase charts and timing bars as geometry; the templates only write it down. Pure."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from argos.server.strips import Span

PHASES = ("DNS", "connect", "TLS", "first byte", "transfer")
_GRID_LINES = 4
_NICE_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Sample:
    """The average phases of a stretch of time, in milliseconds."""

    bucket: int
    phases: Sequence[float]
    p95: float
    count: int = 1

    @property
    def total(self) -> float:
        return sum(self.phases)


@dataclass(frozen=True, slots=True)
class Area:
    """A phase as a filled shape, or the percentile as a line."""

    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class GridLine:
    """A horizontal line and the time it stands for."""

    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A moment on the horizontal axis."""

    x: float
    label: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of the chart: not measured, or an incident."""

    x: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class PhaseChart:
    """Response time by phase: stacked areas from zero, with a percentile line."""

    width: int
    height: int
    plot_left: float
    plot_top: float
    plot_bottom: float
    areas: Sequence[Area]
    line: Area
    grid: Sequence[GridLine]
    ticks: Sequence[Tick]
    gaps: Sequence[Block]
    incidents: Sequence[Block]
    label: str


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a chart, and where in it the data are drawn."""

    width: int = 1100
    height: int = 240
    left: int = 58
    right: int = 8
    top: int = 12
    bottom: int = 26
    ticks: int = 7
    """Moments on the horizontal axis."""


WIDE = Frame()
NARROW = Frame(width=360, height=220, ticks=4)
"""For small screens: scaled down, the wide one's labels would be too small to read."""


def draw_phases(
    samples: Sequence[Sample],
    span: Span,
    *,
    incidents: Sequence[tuple[datetime, datetime]] = (),
    frame: Frame = WIDE,
) -> PhaseChart:
    """Draw a phase chart; where a stretch has no sample there is a gap, not a zero."""
    return _PhaseDrawing(samples, span, frame).draw(incidents)


class _PhaseDrawing:
    def __init__(self, samples: Sequence[Sample], span: Span, frame: Frame) -> None:
        self._samples = [s for s in samples if 0 <= s.bucket < span.count]
        self._span = span
        self._frame = frame
        self._step = (frame.width - frame.left - frame.right) / span.count
        highest = max((max(s.total, s.p95) for s in self._samples), default=0.0)
        self._tick, self._top_value = nice_scale(highest, _GRID_LINES)

    def draw(self, incidents: Sequence[tuple[datetime, datetime]]) -> PhaseChart:
        return PhaseChart(
            width=self._frame.width,
            height=self._frame.height,
            plot_left=self._frame.left,
            plot_top=self._frame.top,
            plot_bottom=self._frame.height - self._frame.bottom,
            areas=[
                Area(f"c{phase + 1}", self._area(phase)) for phase in range(len(PHASES))
            ],
            line=Area("p95", self._line()),
            grid=list(self._grid()),
            ticks=list(self._ticks()),
            gaps=list(self._gaps()),
            incidents=[
                block
                for begin, end in merged(incidents)
                if (block := self._incident(begin, end))
            ],
            label=self._label(),
        )

    def _x(self, bucket: float) -> float:
        return round(self._frame.left + bucket * self._step, 1)

    def _y(self, value: float) -> float:
        plot = self._frame.height - self._frame.bottom - self._frame.top
        bottom = self._frame.height - self._frame.bottom
        return round(bottom - value / self._top_value * plot, 1)

    def _runs(self) -> Iterator[list[Sample]]:
        """Samples that follow each other without a gap."""
        numbered = enumerate(self._samples)
        for _, run in groupby(numbered, lambda pair: pair[1].bucket - pair[0]):
            yield [sample for _, sample in run]

    def _area(self, phase: int) -> str:
        return "".join(self._closed(run, phase) for run in self._runs())

    def _closed(self, run: Sequence[Sample], phase: int) -> str:
        upper = self._steps(run, [sum(s.phases[: phase + 1]) for s in run])
        lower = self._steps(run, [sum(s.phases[:phase]) for s in run])
        return f"M{'L'.join(upper)}L{'L'.join(reversed(lower))}Z"

    def _line(self) -> str:
        return "".join(
            f"M{'L'.join(self._steps(run, [s.p95 for s in run]))}"
            for run in self._runs()
        )

    def _steps(self, run: Sequence[Sample], values: Sequence[float]) -> list[str]:
        """Points from the middle of each stretch, drawn out to the run's two ends."""
        middles = [
            f"{self._x(sample.bucket + 0.5)},{self._y(value)}"
            for sample, value in zip(run, values, strict=True)
        ]
        first = f"{self._x(run[0].bucket)},{self._y(values[0])}"
        last = f"{self._x(run[-1].bucket + 1)},{self._y(values[-1])}"
        return [first, *middles, last]

    def _grid(self) -> Iterator[GridLine]:
        lines = round(self._top_value / self._tick)
        for number in range(lines + 1):
            value = number * self._tick
            yield GridLine(self._y(value), _axis_label(value, self._top_value))

    def _ticks(self) -> Iterator[Tick]:
        days = self._span.width * self._span.count > timedelta(days=2)
        last = self._frame.ticks - 1
        for number in range(last + 1):
            bucket = self._span.count * number / last
            moment = self._span.since + bucket * self._span.width
            anchor = {0: "start", last: "end"}.get(number, "middle")
            label = f"{moment:%d %b}" if days else f"{moment:%H:%M}"
            yield Tick(self._x(bucket), label, anchor)

    def _gaps(self) -> Iterator[Block]:
        present = {sample.bucket for sample in self._samples}
        finished = self._span.finished_count(present)
        missing = [b for b in range(finished) if b not in present]
        numbered = enumerate(missing)
        for _, run in groupby(numbered, lambda pair: pair[1] - pair[0]):
            buckets = [bucket for _, bucket in run]
            title = (
                f"Not measured, {_moment(self._span.begin(buckets[0]))}"
                f" to {_moment(self._span.begin(buckets[-1] + 1))}"
            )
            yield Block(self._x(buckets[0]), round(len(buckets) * self._step, 1), title)

    def _incident(self, begin: datetime, end: datetime) -> Block | None:
        first = max(0.0, (begin - self._span.since) / self._span.width)
        last = min(float(self._span.count), (end - self._span.since) / self._span.width)
        if last <= first:
            return None
        width = max(2.0, round((last - first) * self._step, 1))
        title = f"Incident, {_moment(begin)} to {_moment(end)}"
        return Block(self._x(first), width, title)

    def _label(self) -> str:
        if not self._samples:
            return "Response time by phase: nothing was measured"
        average = sum(s.total for s in self._samples) / len(self._samples)
        highest = max(s.p95 for s in self._samples)
        return (
            f"Response time by phase: {average:.0f} ms on average, "
            f"at most {highest:.0f} ms at the 95th percentile"
        )


def merged(
    intervals: Iterable[tuple[datetime, datetime]],
) -> list[tuple[datetime, datetime]]:
    """The same time, without overlaps: many checks fail together."""
    whole: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(intervals):
        if whole and begin <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(end, whole[-1][1]))
        else:
            whole.append((begin, end))
    return whole


def nice_scale(highest: float, lines: int) -> tuple[float, float]:
    """The distance of grid lines, a round number, and the value of the top one."""
    if highest <= 0:
        return 25.0, 25.0 * lines
    rough = highest / lines
    power = 10 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in _NICE_STEPS if nice * power >= rough * 0.999)
    return step, step * math.ceil(highest / step)


@dataclass(frozen=True, slots=True)
class BarPart:
    """A phase of one probe in its timing bar."""

    kind: str
    name: str
    x: float
    width: float
    milliseconds: float


def draw_timing_bar(
    phases_ms: Sequence[float | None], *, width: int = 1000
) -> Sequence[BarPart]:
    """One probe's phases side by side; those that did not happen are left out."""
    total = sum(value for value in phases_ms if value)
    if not total:
        return ()
    parts = []
    x = 0.0
    for number, (name, value) in enumerate(zip(PHASES, phases_ms, strict=True)):
        if not value:
            continue
        share = value / total * width
        parts.append(
            BarPart(f"c{number + 1}", name, round(x, 1), round(share, 1), value)
        )
        x += share
    return parts


def _axis_label(value_ms: float, top_ms: float) -> str:
    if top_ms >= 2000:
        return f"{value_ms / 1000:g} s"
    return f"{value_ms:g} ms"


def _moment(moment: datetime) -> str:
    return f"{moment:%d %b %H:%M} UTC"
