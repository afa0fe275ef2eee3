"""Strips: what happened in each stretch of time, as a row of marks. Pure."""

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from argos.core.rollup import Counts
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
_MAINTENANCE_TOP = 12


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


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found in each stretch of time, by its number."""

    severities: Mapping[int, Severity]
    """The most urgent one; stretches that are left out were not measured."""
    maintained: Collection[int] = ()
    """Stretches in which all that was measured fell into planned maintenance."""


def judge(counts: Mapping[int, Counts]) -> Findings:
    """What the counts of each stretch say."""
    severities = {
        bucket: severity
        for bucket, found in counts.items()
        if (severity := _most_urgent(found)) is not None
    }
    return Findings(
        severities,
        {
            bucket
            for bucket, found in counts.items()
            if found.maintenance and bucket not in severities
        },
    )


def _most_urgent(counts: Counts) -> Severity | None:
    found = [severity for severity in Severity if getattr(counts, severity.value)]
    return max(found, key=lambda severity: severity.urgency, default=None)


def draw_strip(found: Findings, span: Span) -> Strip:
    """Draw a strip; stretches without a severity were not measured."""
    severities = found.severities
    known = {*severities, *found.maintained}
    buckets = range(span.finished_count(known))
    return Strip(
        width=span.count * STRIP_STEP - 1,
        ok_path=_path(b for b in buckets if severities.get(b) is Severity.OK),
        gap_path=_path(b for b in buckets if b not in known),
        marks=[
            _mark(bucket, severities.get(bucket), span)
            for bucket in buckets
            if bucket in known and severities.get(bucket) is not Severity.OK
        ],
        label=_strip_label(found, span),
    )


def _path(buckets: Iterable[int]) -> str:
    top = _TOPS[Severity.OK]
    return "".join(f"M{bucket * STRIP_STEP} {top}h4v14h-4z" for bucket in buckets)


def _mark(bucket: int, severity: Severity | None, span: Span) -> Mark:
    """A mark of what is not ok or, without a severity, of planned maintenance."""
    top = _TOPS[severity] if severity else _MAINTENANCE_TOP
    return Mark(
        x=bucket * STRIP_STEP,
        y=top,
        height=STRIP_HEIGHT - top,
        kind=severity.value if severity else "maintenance",
        title=f"{_stretch(span, bucket)}: {severity or 'planned maintenance'}",
    )


def _stretch(span: Span, bucket: int) -> str:
    begin, end = span.begin(bucket), span.begin(bucket + 1)
    if span.width >= timedelta(days=1):
        return f"{begin:%Y-%m-%d}"
    return f"{begin:%d %b %H:%M} to {end:%H:%M} UTC"


def _strip_label(found: Findings, span: Span) -> str:
    severities = found.severities
    counts = {
        str(severity): sum(each is severity for each in severities.values())
        for severity in reversed(Severity)
    }
    counts["in planned maintenance"] = len(found.maintained)
    unit = "days" if span.width >= timedelta(days=1) else "stretches"
    parts = [f"{count} {severity}" for severity, count in counts.items() if count]
    total = span.finished_count({*severities, *found.maintained})
    missing = total - sum(counts.values())
    if missing:
        parts.append(f"{missing} not measured")
    return f"Of {total} {unit}: {', '.join(parts)}"
