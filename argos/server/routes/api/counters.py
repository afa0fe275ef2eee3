"""Counters that anybody may read, in every mode."""

from fastapi import APIRouter

from argos.protocol import SeveritiesAnswer, StatsAnswer
from argos.server.queries import counters as queries
from argos.server.routes.dependencies import App, ReadSession

router = APIRouter(prefix="/api", tags=["counters"])


@router.get("/stats")
def read_stats(app: App) -> StatsAnswer:
    """How much there is to do, and how much was done."""
    return app.stats.read(app.database, app.clock)


@router.get("/severities")
def read_severities(session: ReadSession) -> SeveritiesAnswer:
    """How many tasks have each severity."""
    return SeveritiesAnswer.of(queries.count_severities(session))
