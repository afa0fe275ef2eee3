"""One result: what was found, how long it took, and the last good one beside it."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from argos.core.severity import Severity
from argos.server import charts
from argos.server.queries import history
from argos.server.routes import wording
from argos.server.routes.access import Viewer
from argos.server.routes.pages.visit import RowId, Visit
from argos.server.routes.templating import render

router = APIRouter()


@router.get("/result/{result_id}", name="result")
def show_result(viewer: Viewer, visit: Visit, result_id: RowId) -> Response:
    """The facts of a result."""
    session = visit.session
    result = history.get_result(session, result_id=result_id)
    task = history.get_task(session, task_id=result.task_id) if result else None
    if result is None or task is None:
        raise HTTPException(
            404, "Argos has no result of this number; old ones are deleted in time."
        )
    last_good = None
    if result.severity is not Severity.OK:
        last_good = history.get_last_result(
            session,
            task_id=task.id,
            before=result.submitted_at,
            severity=Severity.OK,
        )
    phases_ms = [None if us is None else us / 1000 for us in result.phases]
    return render(
        visit.request,
        "result.html",
        login=viewer.login,
        result=result,
        task=task,
        website=history.get_website(session, website_id=task.website_id),
        sentence=wording.summary(result.context, task.check, result.severity),
        facts=wording.facts(result.context),
        last_good=last_good,
        like_it=history.count_like(session, task=task, result=result),
        good_facts=wording.facts(last_good.context) if last_good else [],
        timing=charts.draw_timing_bar(phases_ms),
    )
