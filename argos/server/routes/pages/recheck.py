"""Checking sooner: everything that is not ok, one website, one task."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import RedirectResponse, Response

from argos.server.queries import history
from argos.server.routes.access import Admin, OwnForm
from argos.server.routes.dependencies import App
from argos.server.routes.pages.visit import RowId, Visit
from argos.server.services import recheck

router = APIRouter()


@router.post("/recheck", name="recheck_all")
def recheck_all(_admin: Admin, _form: OwnForm, visit: Visit, app: App) -> Response:
    """Check all that is not ok as soon as an agent is free."""
    recheck.recheck_not_ok(app.database, app.clock)
    return RedirectResponse(f"{visit.link('dashboard')}?done=recheck", 303)


@router.post("/domain/{host}/recheck", name="recheck_website")
def recheck_website(
    _admin: Admin, _form: OwnForm, visit: Visit, app: App, host: str
) -> Response:
    """Check a website as soon as an agent is free."""
    if not history.list_websites_of(visit.session, host=host):
        raise HTTPException(404, "Argos does not watch this website.")
    recheck.recheck_website(app.database, app.clock, host=host)
    return RedirectResponse(f"{visit.link('website', host=host)}?done=recheck", 303)


@router.post("/task/{task_id}/recheck", name="recheck_task")
def recheck_task(
    _admin: Admin, _form: OwnForm, visit: Visit, app: App, task_id: RowId
) -> Response:
    """Check a task, and what shares its probe, as soon as an agent is free."""
    if history.get_task(visit.session, task_id=task_id) is None:
        raise HTTPException(404, "Argos has no task of this number.")
    recheck.recheck_task(app.database, app.clock, task_id=task_id)
    return RedirectResponse(f"{visit.link('task', task_id=task_id)}?done=recheck", 303)
