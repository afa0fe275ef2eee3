"""Silences: what is kept back now, and a form to keep more back."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException
from fastapi.responses import RedirectResponse, Response

from argos.core.matching import Matcher
from argos.durations import parse_duration
from argos.errors import DurationError, SilenceRefused
from argos.server.models import SilenceKind
from argos.server.queries.silences import NewSilence
from argos.server.routes.access import Admin, OwnForm, Viewer, Viewing, who
from argos.server.routes.dependencies import App
from argos.server.routes.pages.visit import PageVisit, RowId, Visit
from argos.server.routes.templating import render
from argos.server.services import peace

router = APIRouter()

HISTORY = timedelta(days=7)
MAX_LENGTH = 2_000


@dataclass(frozen=True, slots=True)
class SilenceForm:
    """What the form holds; several texts of one kind are separated by commas."""

    website: str = ""
    group: str = ""
    tag: str = ""
    check: str = ""
    length: str = "2h"
    comment: str = ""
    maintenance: bool = False
    broad: bool = False

    @property
    def matcher(self) -> Matcher:
        return Matcher(
            website=_split(self.website),
            group=_split(self.group),
            tag=_split(self.tag),
            check=_split(self.check),
        )


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


Words = Annotated[str, Form(max_length=MAX_LENGTH)]
Box = Annotated[bool, Form()]


def _read_form(  # noqa: PLR0913  # a field of the form each
    website: Words = "",
    group: Words = "",
    tag: Words = "",
    check: Words = "",
    length: Words = "2h",
    comment: Words = "",
    maintenance: Box = False,
    broad: Box = False,
) -> SilenceForm:
    return SilenceForm(website, group, tag, check, length, comment, maintenance, broad)


@router.get("/silences", name="silences")
def show_silences(viewer: Viewer, visit: Visit, website: str = "") -> Response:
    """What is kept back, and what was in the last week."""
    return _page(viewer, visit, SilenceForm(website=website[:MAX_LENGTH]))


@router.post("/silences", name="make_silence")
def make_silence(
    admin: Admin,
    _form: OwnForm,
    visit: Visit,
    app: App,
    form: Annotated[SilenceForm, Depends(_read_form)],
) -> Response:
    """Keep notices back from now on."""
    kind = SilenceKind.MAINTENANCE if form.maintenance else SilenceKind.SILENCE
    try:
        new = NewSilence(
            kind=kind,
            matcher=form.matcher,
            starts_at=visit.now,
            ends_at=visit.now + parse_duration(form.length),
            comment=form.comment.replace("\0", ""),
            created_by=who(admin),
        )
        peace.add_silence(app.database, new, now=visit.now, is_broad_ok=form.broad)
    except (DurationError, SilenceRefused, OverflowError) as err:
        return _page(admin, visit, form, error=str(err))
    return RedirectResponse(visit.link("silences"), 303)


@router.post("/silences/{silence_id}/end", name="end_silence")
def end_silence(
    admin: Admin, _form: OwnForm, visit: Visit, app: App, silence_id: RowId
) -> Response:
    """End a silence now."""
    by = who(admin)
    if not peace.end_silence(app.database, id_=silence_id, by=by, now=visit.now):
        raise HTTPException(404, "There is no silence of this number to end.")
    return RedirectResponse(visit.link("silences"), 303)


def _page(
    viewing: Viewing, visit: PageVisit, form: SilenceForm, *, error: str | None = None
) -> Response:
    found = peace.list_silences(visit.session, now=visit.now, history=HISTORY)
    return render(
        visit.request,
        "silences.html",
        status=422 if error else 200,
        login=viewing.login,
        holding=peace.look(visit.session, config=visit.config, now=visit.now),
        present=[row for row in found if row.ends_at > visit.now],
        past=[row for row in found if row.ends_at <= visit.now],
        form=form,
        error=error,
    )
