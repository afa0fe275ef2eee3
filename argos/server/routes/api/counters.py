"""Counters that anybody may read, in every mode."""

from fastapi import APIRouter

from argos.protocol import SeveritiesAnswer, StatsAnswer
from argos.server.routes.dependencies import App, Fleet
from argos.server.services.stats import count_stats

router = APIRouter(prefix="/api", tags=["counters"])


@router.get("/stats")
def read_stats(app: App) -> StatsAnswer:
    """How much there is to do, and how much was done."""
    return app.stats.get(lambda: count_stats(app.database), app.clock)


@router.get("/severities")
def read_severities(counts: Fleet) -> SeveritiesAnswer:
    """How many tasks have each severity."""
    return SeveritiesAnswer.of(dict(counts.checks))
