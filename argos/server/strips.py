"""Strips: what happened in each stretch of time, as a row of marks. Pure."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from argos.core.severity import Severity

STRIP_STEP = 5
"""Pixels from one mark to the next; the mark itself is one narrower."""
STRIP_HEIGHT = 20
_TOPS = {
    Severity.CRITICAL: 0,
    Severity.UNKNOWN: 2,
    Severity.WARNING: 4,
    Severity.OK: 6,
}
"""Taller is worse, so that nobody depends on colours."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time cut into stretches of one width."""

    since: datetime
    width: timedelta
    count: int

    def begin(self, bucket: int) -> datetime:
        return self.since + bucket * self.width

    def finished_count(self, present: Container[int]) -> int:
        """How many stretches can be judged: the running one only when it has data."""
        return self.count if self.count - 1 in present else self.count - 1


def last_span(now: datetime, *, length: timedelta, count: int) -> Span:
    """The time until now; stretches begin at full widths, so marks do not shift."""
    width = length / count
    epoch = now.replace(year=1970, month=1, day=1, hour=0, minute=0, second=0)
    epoch = epoch.replace(microsecond=0)
    elapsed = (now - epoch) // width
    return Span(epoch + (elapsed + 1 - count) * width, width, count)


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of a strip that is worth a look."""

    x: int
    y: int
    height: int
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """What happened in each stretch of time, as a row of marks."""

    width: int
    ok_path: str
    """All marks that are ok, as one path: they are most, and say nothing else."""
    gap_path: str
    """All stretches that were not measured, likewise."""
    marks: Sequence[Mark]
    label: str
    """The same in words."""


def draw_strip(severities: Mapping[int, Severity], span: Span) -> Strip:
    """Draw a strip; stretches without a severity were not measured."""
    buckets = range(span.finished_count(severities))
    return Strip(
        width=span.count * STRIP_STEP - 1,
        ok_path=_path(b for b in buckets if severities.get(b) is Severity.OK),
        gap_path=_path(b for b in buckets if b not in severities),
        marks=[
            _mark(bucket, severities[bucket], span)
            for bucket in buckets
            if severities.get(bucket, Severity.OK) is not Severity.OK
        ],
        label=_strip_label(severities, span),
    )


def _path(buckets: Iterable[int]) -> str:
    top = _TOPS[Severity.OK]
    return "".join(f"M{bucket * STRIP_STEP} {top}h4v14h-4z" for bucket in buckets)


def _mark(bucket: int, severity: Severity, span: Span) -> Mark:
    top = _TOPS[severity]
    return Mark(
        x=bucket * STRIP_STEP,
        y=top,
        height=STRIP_HEIGHT - top,
        kind=severity.value,
        title=f"{_stretch(span, bucket)}: {severity}",
    )


def _stretch(span: Span, bucket: int) -> str:
    begin, end = span.begin(bucket), span.begin(bucket + 1)
    if span.width >= timedelta(days=1):
        return f"{begin:%Y-%m-%d}"
    return f"{begin:%d %b %H:%M} to {end:%H:%M} UTC"


def _strip_label(severities: Mapping[int, Severity], span: Span) -> str:
    counts = {
        severity: sum(found is severity for found in severities.values())
        for severity in reversed(Severity)
    }
    unit = "days" if span.width >= timedelta(days=1) else "stretches"
    parts = [f"{count} {severity}" for severity, count in counts.items() if count]
    total = span.finished_count(severities)
    missing = total - sum(counts.values())
    if missing:
        parts.append(f"{missing} not measured")
    return f"Of {total} {unit}: {', '.join(parts)}"
