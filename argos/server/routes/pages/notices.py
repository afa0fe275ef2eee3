"""Notices: who was told what, what could not be told and why, and the channels."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import RedirectResponse, Response

from argos.channels import list_setups, recipient_name
from argos.server.queries import delivery_list
from argos.server.queries.delivery_list import DeliveryFilter
from argos.server.routes.access import Admin, OwnForm, Viewer
from argos.server.routes.dependencies import App
from argos.server.routes.pages.visit import MAX_ID, RowId, Visit
from argos.server.routes.templating import render
from argos.server.services import undelivered
from argos.server.services.channel_trial import Trial, try_channel

router = APIRouter()

PAGE_SIZE = 50


@router.get("/notices", name="notices")
def show_notices(
    viewer: Viewer,
    visit: Visit,
    s: DeliveryFilter = DeliveryFilter.ALL,
    before: Annotated[int | None, Query(ge=0, le=MAX_ID)] = None,
    done: Annotated[str | None, Query(pattern="^(retry|drop)$")] = None,
) -> Response:
    """The channels, and the notices, newest first."""
    found = delivery_list.list_deliveries(
        visit.session, shown=s, before=before, limit=PAGE_SIZE
    )
    shown = found[:PAGE_SIZE]
    return render(
        visit.request,
        "notices.html",
        login=viewer.login,
        channels=undelivered.list_channels(visit.session, visit.config),
        lines=[
            (line, undelivered.subject_of(line), undelivered.describe_state(line))
            for line in shown
        ],
        dead_count=delivery_list.count_dead(visit.session),
        shown=s.value,
        choices=[choice.value for choice in DeliveryFilter],
        before=before,
        next_id=shown[-1].id if len(found) > PAGE_SIZE else None,
        done=done,
    )


@router.post("/notices/retry", name="retry_notices")
def retry_all(_admin: Admin, _form: OwnForm, visit: Visit, app: App) -> Response:
    """Try all notices again that were given up."""
    undelivered.retry(app.database, app.clock)
    return _back(visit, "retry")


@router.post("/notices/drop", name="drop_notices")
def drop_all(_admin: Admin, _form: OwnForm, visit: Visit, app: App) -> Response:
    """Take all notices off the list that were given up."""
    undelivered.drop(app.database, app.clock)
    return _back(visit, "drop")


@router.post("/notices/{delivery_id}/retry", name="retry_notice")
def retry_one(
    _admin: Admin, _form: OwnForm, visit: Visit, app: App, delivery_id: RowId
) -> Response:
    """Try a notice again that was given up."""
    undelivered.retry(app.database, app.clock, ids=[delivery_id])
    return _back(visit, "retry")


@router.post("/notices/{delivery_id}/drop", name="drop_notice")
def drop_one(
    _admin: Admin, _form: OwnForm, visit: Visit, app: App, delivery_id: RowId
) -> Response:
    """Take a notice off the list that was given up."""
    undelivered.drop(app.database, app.clock, ids=[delivery_id])
    return _back(visit, "drop")


@router.post("/channels/{name}/test", name="test_channel")
def try_one_channel(
    admin: Admin, _form: OwnForm, visit: Visit, app: App, name: str
) -> Response:
    """Send a test notice over a channel, and show how that went."""
    if name not in list_setups(visit.config.general):
        raise HTTPException(404, "The config has no channel of this name.")
    trials = try_channel(visit.config, name, clock=app.clock)
    return render(
        visit.request,
        "channel_test.html",
        login=admin.login,
        channel=name,
        trials=_shown(trials),
    )


def _shown(trials: Sequence[Trial]) -> Sequence[tuple[str, str | None]]:
    """Each trial without the target's address or key."""
    return [(recipient_name(trial.recipient), trial.error) for trial in trials]


def _back(visit: Visit, done: str) -> Response:
    return RedirectResponse(f"{visit.link('notices')}?s=dead&done={done}", 303)
