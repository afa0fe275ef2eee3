"""One task: what is asked and expected, and its results."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response

from argos.server import strips
from argos.server.database import Session
from argos.server.models import Task
from argos.server.queries import history, incident_list, rollups, statistics, views
from argos.server.queries.rollups import HourSpan
from argos.server.queries.views import TaskView
from argos.server.routes import wording
from argos.server.routes.access import Viewer
from argos.server.routes.pages.rows import DAY, day_strip
from argos.server.routes.pages.timing import ChartRange, phase_chart
from argos.server.routes.pages.visit import RowId, Visit
from argos.server.routes.templating import render
from argos.server.services.presence import read_watched_since

router = APIRouter()

PAGE_SIZE = 100


@router.get("/task/{task_id}/results", name="task")
def show_task(
    viewer: Viewer,
    visit: Visit,
    task_id: RowId,
    before: Annotated[datetime | None, Query()] = None,
    span: Annotated[ChartRange, Query(alias="range")] = ChartRange.DAY,
    done: str | None = None,
) -> Response:
    """A task's results, newest first."""
    session, now = visit.session, visit.now
    task = history.get_task(session, task_id=task_id)
    if task is None:
        raise HTTPException(404, "Argos has no task of this number.")
    found = history.list_results(
        session, task_id=task_id, before=_aware(before, now), limit=PAGE_SIZE
    )
    shown = found[:PAGE_SIZE]
    return render(
        visit.request,
        "task.html",
        login=viewer.login,
        task=task,
        website=history.get_website(session, website_id=task.website_id),
        results=[
            (result, wording.summary(result.context, task.check, result.severity))
            for result in shown
        ],
        places=_places(session, task, now),
        before=before,
        next_before=shown[-1].submitted_at if len(found) > PAGE_SIZE else None,
        day_strip=_strip(session, task, now),
        statistics=statistics.list_statistics(session, task_ids=[task_id], now=now),
        chart=phase_chart(
            session,
            task_id=task_id,
            chart_range=span,
            now=now,
            incidents=_incidents(session, task, now, span.length),
        ),
        range=span,
        ranges=list(ChartRange),
        is_rechecking=done == "recheck",
    )


def _aware(moment: datetime | None, now: datetime) -> datetime | None:
    """A moment of the URL; without a zone it is meant in UTC."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=now.tzinfo)


def _places(session: Session, task: Task, now: datetime) -> Sequence[TaskView]:
    """How the check stands at each of its locations, if it has several."""
    if task.watch_key is None or task.archived_at is not None:
        return ()
    found = views.list_views(
        session,
        keys=[task.watch_key],
        now=now,
        watched_since=read_watched_since(session, now=now),
    )
    return found.get(task.watch_key, ())


def _strip(session: Session, task: Task, now: datetime) -> strips.Strip:
    hours = rollups.list_hourly_counts(
        session, task_ids=[task.id], span=HourSpan.until(now, DAY)
    )
    return day_strip(hours, now=now)


def _incidents(
    session: Session, task: Task, now: datetime, length: timedelta
) -> list[tuple[datetime, datetime]]:
    found = incident_list.list_task_incidents(
        session, task_id=task.id, since=now - length
    )
    return [(incident.opened_at, incident.closed_at or now) for incident in found]
