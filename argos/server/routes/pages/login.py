"""Logging in and out."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from argos.errors import AccessError, PasswordError, TooBusy, TooManyAttempts
from argos.schemas import Config
from argos.schemas.config import UnauthenticatedAccess
from argos.server.routes import security
from argos.server.routes.access import (
    Logins,
    MaybeLogin,
    OwnForm,
    visitor_of,
)
from argos.server.routes.dependencies import AppConfig
from argos.server.routes.templating import Links, render
from argos.server.services.login import Credentials

router = APIRouter()

NOTICES = {
    "logout": "You are logged out.",
    "not-authenticated": "Please log in to see this page.",
    "password-changed": "Your password is changed. Please log in with the new one.",
}
_STATUS = {PasswordError: 422, TooManyAttempts: 429, TooBusy: 503}


@router.get("/login", name="login")
def show_login(
    request: Request, login: MaybeLogin, config: AppConfig, msg: str | None = None
) -> Response:
    """The login form; those who need none are sent on."""
    if login is not None or needs_no_login(config):
        return RedirectResponse(Links(request)("dashboard"), 303)
    return _page(request, config, notice=NOTICES.get(msg or ""))


@dataclass(frozen=True, slots=True)
class LoginForm:
    """What the login form holds."""

    credentials: Credentials
    is_remembered: bool


def _login_form(
    username: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    rememberme: Annotated[bool, Form()] = False,
) -> LoginForm:
    return LoginForm(Credentials(username, password), rememberme)


@router.post("/login", name="log_in")
def log_in(
    _form: OwnForm,
    request: Request,
    config: AppConfig,
    logins: Logins,
    typed: Annotated[LoginForm, Depends(_login_form)],
) -> Response:
    """Open a session, or say why not."""
    if needs_no_login(config):
        return RedirectResponse(Links(request)("dashboard"), 303)
    lifetime = session_lifetime(config, is_remembered=typed.is_remembered)
    try:
        new = logins.log_in(
            typed.credentials, visitor=visitor_of(request), lifetime=lifetime
        )
    except AccessError as error:
        return _page(request, config, error=error, username=typed.credentials.username)
    _end_present_session(request, config, logins)
    response = RedirectResponse(Links(request)("dashboard"), 303)
    security.set_cookie(
        request,
        response,
        config,
        name=security.session_cookie_name(request, config),
        value=new.token,
        max_age_s=int(lifetime.total_seconds()),
    )
    return response


@router.get("/logout", name="logout")
def show_logout(request: Request, login: MaybeLogin, config: AppConfig) -> Response:
    """Ask: a link, or an image on another site, must not log anybody out."""
    if needs_no_login(config):
        return RedirectResponse(Links(request)("dashboard"), 303)
    if login is None:
        return RedirectResponse(f"{Links(request)('login')}?msg=logout", 303)
    return render(request, "logout.html", login=login)


@router.post("/logout", name="log_out")
def log_out(
    _form: OwnForm, request: Request, config: AppConfig, logins: Logins
) -> Response:
    """End the session, here and in the database."""
    _end_present_session(request, config, logins)
    response = RedirectResponse(f"{Links(request)('login')}?msg=logout", 303)
    name = security.session_cookie_name(request, config)
    security.delete_cookie(request, response, config, name=name)
    return response


def needs_no_login(config: Config) -> bool:
    """Whether everybody may see and do everything."""
    return config.general.unauthenticated_access is UnauthenticatedAccess.ALL


def session_lifetime(config: Config, *, is_remembered: bool) -> timedelta:
    """How long a session lasts at most."""
    remembered = config.general.remember_me_duration
    if is_remembered and remembered:
        return remembered
    return config.general.session_duration


def _end_present_session(request: Request, config: Config, logins: Logins) -> None:
    token = request.cookies.get(security.session_cookie_name(request, config))
    if token:
        logins.log_out(token)


def _page(
    request: Request,
    config: Config,
    *,
    notice: str | None = None,
    error: AccessError | None = None,
    username: str = "",
) -> Response:
    """The form; a refused login is 200, as in 0.10.3."""
    response = render(
        request,
        "login.html",
        login=None,
        status=_STATUS.get(type(error), 200) if error else 200,
        self_notice=notice,
        error=str(error) if error else None,
        username=username,
        can_remember=config.general.remember_me_duration is not None,
    )
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response
