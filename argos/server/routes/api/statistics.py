"""Uptime and response times for people's programs, from rollups only."""

from collections.abc import Collection, Mapping
from datetime import datetime

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from argos.server.database import Session
from argos.server.queries import history, statistics
from argos.server.queries.figures import Figures
from argos.server.queries.statistics import Period
from argos.server.routes.access import Viewer
from argos.server.routes.dependencies import Now, ReadSession
from argos.server.routes.pages.visit import RowId

router = APIRouter(prefix="/api/app", tags=["app"])


class ResultCounts(BaseModel):
    """How many results there were of each kind."""

    ok: int
    warning: int
    critical: int
    unknown: int = Field(description="Not measured, for a reason of ours.")
    maintenance: int = Field(
        description="Measured inside a maintenance window; in none of the others."
    )


class ResponseTimes(BaseModel):
    """Percentiles in milliseconds, within 10 %; null: nothing was measured."""

    p50: float | None
    p95: float | None
    p99: float | None


class PeriodFigures(BaseModel):
    """What there is to say of one period."""

    uptime: float | None = Field(
        description="The share of ok and warning among ok, warning and critical;"
        " null: none of these was measured."
    )
    results: ResultCounts
    missed_runs: int = Field(description="Planned probes that never took place.")
    response_ms: ResponseTimes


class StatisticsAnswer(BaseModel):
    """Figures by period; the hour that has begun is in each of them."""

    periods: dict[Period, PeriodFigures]


@router.get("/websites/{host}/statistics")
def read_website_statistics(
    _viewer: Viewer, session: ReadSession, now: Now, host: str
) -> StatisticsAnswer:
    """Uptime and response times of a website over 24 hours up to a year."""
    found = history.list_websites_of(session, host=host)
    if not found:
        raise HTTPException(404, "Argos does not watch this website.")
    active = [website for website in found if website.archived_at is None]
    tasks = history.list_website_tasks(
        session,
        website_ids=[website.id for website in active or found],
        archived=not active,
    )
    return _answer(session, [task.id for task in tasks], now)


@router.get("/tasks/{task_id}/statistics")
def read_task_statistics(
    _viewer: Viewer, session: ReadSession, now: Now, task_id: RowId
) -> StatisticsAnswer:
    """Uptime and response times of a task over 24 hours up to a year."""
    if history.get_task(session, task_id=task_id) is None:
        raise HTTPException(404, "Argos has no task of this number.")
    return _answer(session, [task_id], now)


def _answer(
    session: Session, task_ids: Collection[int], now: datetime
) -> StatisticsAnswer:
    found: Mapping[Period, Figures] = statistics.list_statistics(
        session, task_ids=task_ids, now=now
    )
    return StatisticsAnswer(
        periods={period: _period(figures) for period, figures in found.items()}
    )


def _period(figures: Figures) -> PeriodFigures:
    times = (figures.p50_us, figures.p95_us, figures.p99_us)
    p50, p95, p99 = (None if time is None else time / 1000 for time in times)
    return PeriodFigures(
        uptime=figures.uptime,
        results=ResultCounts(**figures.counts._asdict()),
        missed_runs=figures.missed,
        response_ms=ResponseTimes(p50=p50, p95=p95, p99=p99),
    )
