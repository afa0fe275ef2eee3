"""Counters that anybody may read, in every mode."""

from fastapi import APIRouter

from argos.protocol import SeveritiesAnswer, StatsAnswer
from argos.server.queries import counters as queries
from argos.server.routes.dependencies import ReadSession

router = APIRouter(prefix="/api", tags=["counters"])


@router.get("/stats")
def read_stats(session: ReadSession) -> StatsAnswer:
    """How much there is to do, and how much was done."""
    counts = queries.count_tasks(session)
    return StatsAnswer(
        upcoming_tasks_count=counts.upcoming,
        results_count=queries.count_results(session),
        selected_tasks_count=counts.selected,
    )


@router.get("/severities")
def read_severities(session: ReadSession) -> SeveritiesAnswer:
    """How many tasks have each severity."""
    return SeveritiesAnswer.of(queries.count_severities(session))
