"""Taking care of an incident by the signed link of a notice, without a login."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from argos.errors import LinkExpired, LinkForged
from argos.server.queries import incident_list
from argos.server.queries.incident_list import IncidentRow
from argos.server.routes.access import OwnForm
from argos.server.routes.dependencies import App, AppState
from argos.server.routes.pages.visit import RowId
from argos.server.routes.templating import Links, render
from argos.server.services import acknowledgement
from argos.server.services.acknowledgement import Word
from argos.server.services.signed_link import (
    MAX_RECIPIENT_LENGTH,
    Acknowledging,
    LinkSigner,
)

router = APIRouter()

_LATEST = 2**37
"""Seconds since 1970, in the year 6325: still a moment that Python knows."""


@dataclass(frozen=True, slots=True)
class SignedQuery:
    """What stands behind the question mark of a signed link."""

    until: Annotated[int, Query(ge=0, le=_LATEST)] = 0
    to: Annotated[str, Query(max_length=MAX_RECIPIENT_LENGTH)] = ""
    sign: Annotated[str, Query(max_length=100)] = ""


Signed = Annotated[SignedQuery, Depends()]


@router.get("/acknowledge/{incident_id}", name="take_care")
def ask(request: Request, app: App, incident_id: RowId, query: Signed) -> Response:
    """Ask: a program that looks at the links of mails must not take care of anything."""
    incident = _find(app, _read(app, incident_id, query))
    return render(request, "take_care.html", login=None, incident=incident)


@router.post("/acknowledge/{incident_id}")
def take_care(
    request: Request, app: App, _form: OwnForm, incident_id: RowId, query: Signed
) -> Response:
    """Take care of the incident; the link only tells by which channel it was sent."""
    allowed = _read(app, incident_id, query)
    acknowledgement.acknowledge(
        app.database,
        app.clock,
        incident_id=incident_id,
        word=Word(f"Somebody told by {allowed.recipient}"),
    )
    link = Links(request)("take_care", incident_id=incident_id)
    return RedirectResponse(f"{link}?{LinkSigner.of(app.config).query(allowed)}", 303)


def _read(app: AppState, incident_id: int, query: SignedQuery) -> Acknowledging:
    """What the link allows; nothing is looked up for a forged one."""
    try:
        return LinkSigner.of(app.config).read(
            incident_id=incident_id,
            until=query.until,
            to=query.to,
            sign=query.sign,
            now=app.clock.utcnow(),
        )
    except LinkForged as err:
        raise HTTPException(
            403,
            "This link is not as it was sent: open it from the message again, whole.",
        ) from err
    except LinkExpired as err:
        raise HTTPException(
            410, "This link has expired: log in to take care of the incident."
        ) from err


def _find(app: AppState, allowed: Acknowledging) -> IncidentRow:
    with app.database.reading() as session:
        found = incident_list.get_incident(session, incident_id=allowed.incident_id)
    if found is None:
        raise HTTPException(404, "Argos does not know this incident any more.")
    return found
