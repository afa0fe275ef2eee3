"""The user's own page: sessions, and the password."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response

from argos.errors import AccessError
from argos.server.queries import sessions
from argos.server.queries.sessions import Login
from argos.server.routes import security
from argos.server.routes.access import CurrentUser, Logins, OwnForm, visitor_of
from argos.server.routes.pages.visit import PageVisit, Visit
from argos.server.routes.templating import render

router = APIRouter()


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """What the form for another password holds."""

    present: str
    wanted: str
    repeated: str


def _password_change(
    present: Annotated[str, Form()] = "",
    wanted: Annotated[str, Form()] = "",
    repeated: Annotated[str, Form()] = "",
) -> PasswordChange:
    return PasswordChange(present, wanted, repeated)


@router.get("/account", name="account")
def show_account(user: CurrentUser, visit: Visit, done: str | None = None) -> Response:
    """Where the user is logged in, and a form for another password."""
    notice = "You are logged out everywhere else." if done == "sessions" else None
    return _page(user, visit, notice=notice)


@router.post("/account/sessions/end", name="end_sessions")
def end_sessions(
    user: CurrentUser, _form: OwnForm, visit: Visit, logins: Logins
) -> Response:
    """Log out everywhere but here."""
    logins.log_out_elsewhere(user)
    return RedirectResponse(f"{visit.link('account')}?done=sessions", 303)


@router.post("/account/password", name="change_password")
def change_password(
    user: CurrentUser,
    _form: OwnForm,
    visit: Visit,
    logins: Logins,
    change: Annotated[PasswordChange, Depends(_password_change)],
) -> Response:
    """Set another password; all sessions end, this one too."""
    if change.wanted != change.repeated:
        return _page(user, visit, error="The new passwords differ.")
    try:
        logins.change_password(
            user.username,
            present=change.present,
            wanted=change.wanted,
            visitor=visitor_of(visit.request),
        )
    except AccessError as error:
        return _page(user, visit, error=str(error))
    response = RedirectResponse(f"{visit.link('login')}?msg=password-changed", 303)
    name = security.session_cookie_name(visit.request, visit.config)
    security.delete_cookie(visit.request, response, visit.config, name=name)
    return response


def _page(
    user: Login,
    visit: PageVisit,
    *,
    notice: str | None = None,
    error: str | None = None,
) -> Response:
    return render(
        visit.request,
        "account.html",
        login=user,
        status=422 if error else 200,
        sessions=sessions.list_logins(visit.session, username=user.username),
        self_notice=notice,
        error=error,
    )
