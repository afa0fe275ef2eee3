"""Incidents: the list, and the story of one."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query
from fastapi.responses import RedirectResponse, Response

from argos.server.columns import from_epoch_us, to_epoch_us
from argos.server.database import Session
from argos.server.queries import incident_groups, incident_list, knowing, troubles
from argos.server.queries.incident_groups import CROWD
from argos.server.queries.incident_list import IncidentRow, IncidentSearch
from argos.server.routes import wording
from argos.server.routes.access import Admin, OwnForm, Viewer
from argos.server.routes.dependencies import App
from argos.server.routes.pages.rows import TOGETHER, group_incidents, name_cause
from argos.server.routes.pages.visit import RowId, Visit
from argos.server.routes.templating import render
from argos.server.services import acknowledgement
from argos.server.services.acknowledgement import MAX_COMMENT_LENGTH, Word

router = APIRouter()

PAGE_SIZE = 50
CHILDREN_SIZE = 100
"""So many of those that an incident speaks for stand on one page."""
PLACE_PATTERN = r"^[0-9]{1,17}\.[0-9]{1,18}$"
"""Microseconds since 1970, and the incident's id."""
STATES = {"open": True, "closed": False, "all": None}


@router.get("/incidents", name="incidents")
def show_incidents(
    viewer: Viewer,
    visit: Visit,
    app: App,
    s: Annotated[str, Query(pattern="^(open|closed|all)$")] = "all",
    before: Annotated[str | None, Query(pattern=PLACE_PATTERN)] = None,
) -> Response:
    """Incidents, newest first; those with one cause under the one that speaks for them."""
    search = IncidentSearch(
        is_open=STATES[s], before=_parse_place(before), limit=PAGE_SIZE
    )
    found = incident_groups.list_leaders(visit.session, search)
    shown = found[:PAGE_SIZE]
    gathered = incident_groups.list_gathered(
        visit.session, leader_ids=[incident.id for incident in shown]
    )
    open_count, website_count = app.open_incidents.get(
        lambda: troubles.count_open_incidents(visit.session), app.clock
    )
    return render(
        visit.request,
        "incidents.html",
        login=viewer.login,
        incidents=group_incidents(shown, gathered),
        state=s,
        states=list(STATES),
        before=before,
        open_count=open_count,
        website_count=website_count,
        next_place=_format_place(shown[-1]) if len(found) > PAGE_SIZE else None,
    )


@router.get("/incident/{incident_id}", name="incident")
def show_incident(
    viewer: Viewer,
    visit: Visit,
    incident_id: RowId,
    before: Annotated[str | None, Query(pattern=PLACE_PATTERN)] = None,
) -> Response:
    """What happened, step by step, and who was told."""
    session = visit.session
    incident = incident_list.get_incident(session, incident_id=incident_id)
    if incident is None:
        raise _unknown()
    events = incident_list.list_events(session, incident_id=incident_id)
    parent = (
        None
        if incident.parent_id is None
        else incident_list.get_incident(session, incident_id=incident.parent_id)
    )
    return render(
        visit.request,
        "incident.html",
        login=viewer.login,
        incident=incident,
        related=[
            other
            for other in incident_list.list_related(session, incident, within=TOGETHER)
            # Those that it speaks for are listed as such.
            if other.parent_id != incident_id
        ],
        parent=parent,
        cause=_cause_words(incident, parent),
        comments=knowing.list_comments(session, incident_id=incident_id),
        events=[
            (event, wording.summary(event.facts, incident.check, event.severity))
            for event in events
        ],
        before=before,
        **_children(session, incident, before),
    )


def _children(
    session: Session, incident: IncidentRow, before: str | None
) -> dict[str, Any]:
    """What the page says of those that an incident speaks for."""
    found = incident_groups.list_children(
        session,
        parent_id=incident.id,
        before=_parse_place(before),
        limit=CHILDREN_SIZE,
    )
    shown = found[:CHILDREN_SIZE]
    is_whole = before is None and len(found) == len(shown)
    child_count = (
        len(shown)
        if is_whole
        else incident_groups.count_children(session, parent_id=incident.id)
    )
    causes = [child.common_with(incident.host) for child in shown]
    return {
        "children": [(child, _cause_words(child, incident)) for child in shown],
        "children_cause": name_cause([cause for cause in causes if cause is not None]),
        "child_count": min(child_count, CROWD),
        "is_crowd": child_count > CROWD,
        "next_place": _format_place(shown[-1]) if len(found) > len(shown) else None,
    }


@router.post("/incident/{incident_id}/acknowledge", name="acknowledge")
def acknowledge(  # a form's fields
    admin: Admin,
    _form: OwnForm,
    visit: Visit,
    app: App,
    incident_id: RowId,
    hours: Annotated[float, Form(ge=0, le=8_760)] = 0,
    comment: Annotated[str, Form(max_length=MAX_COMMENT_LENGTH)] = "",
) -> Response:
    """Take care of an incident; 0 hours: until it ends."""
    count = acknowledgement.acknowledge(
        app.database,
        app.clock,
        incident_id=incident_id,
        word=Word(admin.name, comment),
        lasting=timedelta(hours=hours) if hours else None,
    )
    if count is None:
        raise _unknown()
    return _back(visit, incident_id)


@router.post("/incident/{incident_id}/withdraw", name="withdraw")
def withdraw(
    admin: Admin, _form: OwnForm, visit: Visit, app: App, incident_id: RowId
) -> Response:
    """Take it back that somebody takes care of an incident."""
    count = acknowledgement.withdraw(
        app.database, app.clock, incident_id=incident_id, word=Word(admin.name)
    )
    if count is None:
        raise _unknown()
    return _back(visit, incident_id)


@router.post("/incident/{incident_id}/comment", name="comment_incident")
def comment_incident(  # a form's fields
    admin: Admin,
    _form: OwnForm,
    visit: Visit,
    app: App,
    incident_id: RowId,
    text: Annotated[str, Form(min_length=1, max_length=MAX_COMMENT_LENGTH)],
) -> Response:
    """Write on an incident."""
    word = Word(admin.name, text)
    if not acknowledgement.comment(
        app.database, app.clock, incident_id=incident_id, word=word
    ):
        raise _unknown()
    return _back(visit, incident_id)


def _cause_words(incident: IncidentRow, leader: IncidentRow | None) -> str:
    common = incident.common_with(None if leader is None else leader.host)
    return "" if common is None else name_cause([common])


def _back(visit: Visit, incident_id: int) -> Response:
    return RedirectResponse(visit.link("incident", incident_id=incident_id), 303)


def _unknown() -> HTTPException:
    return HTTPException(404, "Argos has no incident of this number.")


def _format_place(incident: IncidentRow) -> str:
    return f"{to_epoch_us(incident.opened_at)}.{incident.id}"


def _parse_place(text: str | None) -> tuple[datetime, int] | None:
    if text is None:
        return None
    microseconds, id_ = text.split(".")
    return from_epoch_us(int(microseconds)), int(id_)
