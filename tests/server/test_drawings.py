"""Strips and charts: what is drawn where."""

from datetime import UTC, datetime, timedelta

import pytest

from argos.core.rollup import Counts
from argos.server.charts import (
    NARROW,
    WIDE,
    Sample,
    draw_phases,
    draw_timing_bar,
    merged,
    nice_scale,
)
from argos.server.strips import Span, draw_strip, judge, last_span

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    return NOON + minutes * MINUTE


@pytest.mark.parametrize(
    ("now", "end"),
    [(at(0), at(30)), (at(1), at(30)), (at(29.9), at(30)), (at(30), at(60))],
    ids=["on-the-border", "after", "before-the-next", "on-the-next"],
)
def test_a_span_ends_with_the_running_stretch(now: datetime, end: datetime):
    span = last_span(now, length=timedelta(hours=24), count=48)

    assert span.width == timedelta(minutes=30)
    assert span.begin(span.count) == end


def test_a_strip_tells_more_by_height_than_by_colour():
    span = Span(NOON, timedelta(minutes=30), 6)

    strip = draw_strip(
        judge({
            0: Counts(ok=12),
            1: Counts(ok=11, warning=1),
            2: Counts(ok=10, critical=1, unknown=1),
            3: Counts(unknown=12),
            5: Counts(ok=12, maintenance=1),
        }),
        span,
    )

    heights = {mark.kind: mark.height for mark in strip.marks}
    assert heights == {"warning": 16, "critical": 20, "unknown": 18}
    assert strip.ok_path == "M0 6h4v14h-4zM25 6h4v14h-4z"
    assert strip.gap_path == "M20 6h4v14h-4z"
    assert [mark.title for mark in strip.marks][1] == (
        "14 Mar 13:00 to 13:30 UTC: critical"
    )
    assert strip.label == (
        "Of 6 stretches: 1 unknown, 1 critical, 1 warning, 2 ok, 1 not measured"
    )


def test_the_running_stretch_is_no_gap_while_nothing_has_come():
    span = Span(NOON, timedelta(days=1), 3)

    strip = draw_strip(judge({0: Counts(ok=1), 1: Counts(ok=1)}), span)

    assert strip.marks == []
    assert strip.gap_path == ""
    assert strip.label == "Of 2 days: 2 ok"


def test_planned_maintenance_is_neither_up_nor_down_nor_a_gap():
    span = Span(NOON, timedelta(days=1), 3)

    strip = draw_strip(
        judge({
            0: Counts(ok=1, maintenance=5),
            1: Counts(maintenance=5),
            2: Counts(critical=1),
        }),
        span,
    )

    assert [(mark.kind, mark.height) for mark in strip.marks] == [
        ("maintenance", 8),
        ("critical", 20),
    ]
    assert strip.marks[0].title == "2026-03-15: planned maintenance"
    assert strip.gap_path == ""
    assert strip.label == "Of 3 days: 1 critical, 1 ok, 1 in planned maintenance"


@pytest.mark.parametrize(
    ("highest", "step", "top"),
    [
        (0, 25, 100),
        (0.4, 0.1, 0.4),
        (1, 0.25, 1),
        (183, 50, 200),
        (401, 200, 600),
        (999, 250, 1000),
        (30_000, 10_000, 30_000),
    ],
)
def test_grid_lines_lie_at_round_numbers(highest: float, step: float, top: float):
    found = nice_scale(highest, 4)

    assert found == pytest.approx((step, top))
    assert found[1] >= highest


def sample(bucket: int, *phases: float, p95: float = 200) -> Sample:
    return Sample(bucket, phases or (10, 20, 30, 40, 50), p95)


SPAN = Span(NOON, timedelta(minutes=15), 96)


def test_phases_are_stacked_from_zero_in_the_order_of_time():
    chart = draw_phases([sample(0), sample(1), sample(2)], SPAN)

    bottoms = [area.path.split("L")[-1] for area in chart.areas]
    tops = [area.path.split("L")[0].removeprefix("M") for area in chart.areas]
    assert bottoms[0] == f"58.0,{float(chart.plot_bottom)}Z"
    assert [bottom.removesuffix("Z") for bottom in bottoms[1:]] == tops[:-1]
    assert [area.kind for area in chart.areas] == ["c1", "c2", "c3", "c4", "c5"]


def test_a_gap_interrupts_areas_and_line():
    chart = draw_phases([sample(0), sample(1), sample(5)], SPAN)

    assert [area.path.count("M") for area in chart.areas] == [2] * 5
    assert chart.line.path.count("M") == 2
    assert [gap.title for gap in chart.gaps] == [
        "Not measured, 14 Mar 12:30 UTC to 14 Mar 13:15 UTC",
        "Not measured, 14 Mar 13:30 UTC to 15 Mar 11:45 UTC",
    ]


def test_a_chart_without_a_sample_says_so():
    chart = draw_phases([], SPAN)

    assert chart.label == "Response time by phase: nothing was measured"
    assert all(area.path == "" for area in chart.areas)
    assert len(chart.gaps) == 1


@pytest.mark.parametrize("frame", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_is_drawn_outside_of_the_frame(frame):
    samples = [sample(bucket, p95=bucket * 300) for bucket in range(96)]

    chart = draw_phases(samples, SPAN, frame=frame, incidents=[(at(-999), at(9999))])

    points = [
        tuple(float(number) for number in point.split(","))
        for path in [area.path for area in chart.areas] + [chart.line.path]
        for point in path.strip("MZ").replace("Z", "").replace("M", "L").split("L")
    ]
    assert all(frame.left <= x <= frame.width - frame.right + 0.1 for x, _ in points)
    assert all(frame.top - 0.1 <= y <= chart.plot_bottom for _, y in points)
    assert [tick.anchor for tick in chart.ticks][:: frame.ticks - 1] == ["start", "end"]
    (shade,) = chart.incidents
    assert shade.x == frame.left


def test_an_incident_outside_of_the_chart_is_not_drawn():
    assert draw_phases([], SPAN, incidents=[(at(-60), at(-30))]).incidents == []


@pytest.mark.parametrize(
    ("intervals", "whole"),
    [
        ([], []),
        ([(0, 5), (5, 9)], [(0, 9)]),
        ([(3, 4), (0, 9)], [(0, 9)]),
        ([(0, 1), (2, 3)], [(0, 1), (2, 3)]),
    ],
    ids=["none", "touching", "inside", "apart"],
)
def test_overlapping_incidents_are_shaded_once(intervals, whole):
    found = merged([(at(begin), at(end)) for begin, end in intervals])

    assert found == [(at(begin), at(end)) for begin, end in whole]


@pytest.mark.parametrize(
    ("phases", "parts"),
    [
        ([None] * 5, []),
        ([0, 0, 0, 0, 0], []),
        ([10, None, 20, 60, 10], [("c1", 0, 100), ("c3", 100, 200), ("c4", 300, 600), ("c5", 900, 100)]),
    ],
    ids=["never", "zero", "some"],
)  # fmt: skip
def test_a_timing_bar_shows_the_phases_that_happened(phases, parts):
    found = draw_timing_bar(phases)

    assert [(part.kind, part.x, part.width) for part in found] == parts
