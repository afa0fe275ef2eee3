"""Who may ask for what: one table of all routes, and the dependencies that enforce it.

A route names its dependency in its signature; a test walks all routes and compares them
with the table, so that no route is open by oversight.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Form, Request

from argos.errors import NotAuthenticated
from argos.schemas.config import UnauthenticatedAccess
from argos.server.queries.sessions import Login
from argos.server.routes import security
from argos.server.routes.dependencies import App, AppConfig
from argos.server.services.login import LoginService, Visitor


class Access(StrEnum):
    """Who may use a route."""

    PUBLIC = "public"
    """Anybody."""
    DASHBOARD = "dashboard"
    """A session, unless `unauthenticated_access` is `dashboard` or `all`."""
    VIEWER = "viewer"
    """A session, unless `unauthenticated_access` is `all`."""
    ADMIN = "admin"
    """It changes something: a session, unless `unauthenticated_access` is `all`."""
    USER = "user"
    """A session, always: it is about the user."""
    AGENT = "agent"
    """An agent's token."""


ROUTES: Mapping[tuple[str, str], Access] = {
    ("GET", "/"): Access.DASHBOARD,
    ("GET", "/domains"): Access.VIEWER,
    ("GET", "/domain/{host}"): Access.VIEWER,
    ("POST", "/domain/{host}/recheck"): Access.ADMIN,
    ("GET", "/task/{task_id}/results"): Access.VIEWER,
    ("POST", "/task/{task_id}/recheck"): Access.ADMIN,
    ("GET", "/result/{result_id}"): Access.VIEWER,
    ("GET", "/incidents"): Access.VIEWER,
    ("GET", "/incident/{incident_id}"): Access.VIEWER,
    ("POST", "/incident/{incident_id}/acknowledge"): Access.ADMIN,
    ("POST", "/incident/{incident_id}/withdraw"): Access.ADMIN,
    ("POST", "/incident/{incident_id}/comment"): Access.ADMIN,
    ("GET", "/acknowledge/{incident_id}"): Access.PUBLIC,
    ("POST", "/acknowledge/{incident_id}"): Access.PUBLIC,
    ("GET", "/notices"): Access.VIEWER,
    ("POST", "/notices/retry"): Access.ADMIN,
    ("POST", "/notices/drop"): Access.ADMIN,
    ("POST", "/notices/{delivery_id}/retry"): Access.ADMIN,
    ("POST", "/notices/{delivery_id}/drop"): Access.ADMIN,
    ("POST", "/channels/{name}/test"): Access.ADMIN,
    ("GET", "/silences"): Access.VIEWER,
    ("POST", "/silences"): Access.ADMIN,
    ("POST", "/silences/{silence_id}/end"): Access.ADMIN,
    ("GET", "/agents"): Access.VIEWER,
    ("POST", "/refresh"): Access.DASHBOARD,
    ("POST", "/recheck"): Access.ADMIN,
    ("GET", "/login"): Access.PUBLIC,
    ("POST", "/login"): Access.PUBLIC,
    ("GET", "/logout"): Access.PUBLIC,
    ("POST", "/logout"): Access.PUBLIC,
    ("GET", "/account"): Access.USER,
    ("POST", "/account/sessions/end"): Access.USER,
    ("POST", "/account/password"): Access.USER,
    ("GET", "/static/{name}"): Access.PUBLIC,
    ("GET", "/favicon.ico"): Access.PUBLIC,
    ("GET", "/docs"): Access.USER,
    ("GET", "/openapi.json"): Access.USER,
    ("GET", "/api/app/version"): Access.PUBLIC,
    ("POST", "/api/app/login"): Access.PUBLIC,
    ("GET", "/api/app/logout"): Access.PUBLIC,
    ("POST", "/api/app/logout"): Access.PUBLIC,
    ("GET", "/api/app/"): Access.DASHBOARD,
    ("POST", "/api/app/reschedule/all"): Access.ADMIN,
    ("GET", "/api/app/agents"): Access.VIEWER,
    ("GET", "/api/app/agents/details"): Access.VIEWER,
    ("GET", "/api/app/domains"): Access.VIEWER,
    ("GET", "/api/app/notices"): Access.VIEWER,
    ("POST", "/api/app/notices/{delivery_id}/retry"): Access.ADMIN,
    ("POST", "/api/app/notices/{delivery_id}/drop"): Access.ADMIN,
    ("GET", "/api/app/channels"): Access.VIEWER,
    ("POST", "/api/app/channels/{name}/test"): Access.ADMIN,
    ("GET", "/api/app/webhook-schema"): Access.VIEWER,
    ("GET", "/api/app/incidents"): Access.VIEWER,
    ("GET", "/api/app/incidents/{incident_id}"): Access.VIEWER,
    ("POST", "/api/app/incidents/{incident_id}/acknowledge"): Access.ADMIN,
    ("POST", "/api/app/incidents/{incident_id}/withdraw"): Access.ADMIN,
    ("POST", "/api/app/incidents/{incident_id}/comments"): Access.ADMIN,
    ("GET", "/api/app/silences"): Access.VIEWER,
    ("POST", "/api/app/silences"): Access.ADMIN,
    ("POST", "/api/app/silences/{silence_id}/end"): Access.ADMIN,
    ("GET", "/api/tasks"): Access.AGENT,
    ("POST", "/api/results"): Access.AGENT,
    ("POST", "/api/tasks/release"): Access.AGENT,
    ("GET", "/api/stats"): Access.PUBLIC,
    ("GET", "/api/app/websites/{host}/statistics"): Access.VIEWER,
    ("GET", "/api/app/tasks/{task_id}/statistics"): Access.VIEWER,
    ("GET", "/api/severities"): Access.PUBLIC,
    ("GET", "/healthz"): Access.PUBLIC,
    ("GET", "/readyz"): Access.PUBLIC,
}
"""Every route by method and path."""


@dataclass(frozen=True, slots=True)
class Viewing:
    """Who looks at a page: a session, or nobody in particular."""

    login: Login | None = None
    sees_all: bool = True
    """False: only the dashboard's counters, neither names nor incidents."""

    @property
    def name(self) -> str:
        """What they are called; where nobody needs to log in, that is not known."""
        return "somebody" if self.login is None else self.login.username


def get_login_service(app: App) -> LoginService:
    """The service that opens, finds and ends sessions."""
    return LoginService(app.database, app.clock)


Logins = Annotated[LoginService, Depends(get_login_service)]


def find_login(request: Request, config: AppConfig, logins: Logins) -> Login | None:
    """The session of the request's cookie, while it lasts."""
    if config.general.unauthenticated_access is UnauthenticatedAccess.ALL:
        return None
    name = security.session_cookie_name(request, config)
    token = request.cookies.get(name)
    if not token:
        return None
    return logins.find(token, remembered_after=config.general.session_duration)


MaybeLogin = Annotated[Login | None, Depends(find_login)]
"""For routes that serve anybody, and more to those who are logged in."""


def require_user(login: MaybeLogin) -> Login:
    """Let in who is logged in."""
    if login is None:
        raise NotAuthenticated
    return login


def require_dashboard(login: MaybeLogin, config: AppConfig) -> Viewing:
    """Let in who may see the dashboard."""
    mode = config.general.unauthenticated_access
    if login is None and mode is None:
        raise NotAuthenticated
    return Viewing(
        login, sees_all=login is not None or mode is UnauthenticatedAccess.ALL
    )


def require_viewer(login: MaybeLogin, config: AppConfig) -> Viewing:
    """Let in who may see every page."""
    if (
        login is None
        and config.general.unauthenticated_access is not UnauthenticatedAccess.ALL
    ):
        raise NotAuthenticated
    return Viewing(login)


def require_admin(login: MaybeLogin, config: AppConfig) -> Viewing:
    """Let in who may change something."""
    return require_viewer(login, config)


CurrentUser = Annotated[Login, Depends(require_user)]
DashboardViewer = Annotated[Viewing, Depends(require_dashboard)]
Viewer = Annotated[Viewing, Depends(require_viewer)]
Admin = Annotated[Viewing, Depends(require_admin)]

GUARDS = {
    require_user: Access.USER,
    require_dashboard: Access.DASHBOARD,
    require_viewer: Access.VIEWER,
    require_admin: Access.ADMIN,
}
"""Which class of access each dependency enforces."""


def form_binding(request: Request, login: MaybeLogin, config: AppConfig) -> str | None:
    """What the tokens of this browser's forms are tied to."""
    if login is not None:
        return login.digest.hex()
    return request.cookies.get(security.form_cookie_name(request, config))


FormBinding = Annotated[str | None, Depends(form_binding)]


def check_form(
    request: Request,
    config: AppConfig,
    binding: FormBinding,
    csrf: Annotated[str, Form()] = "",
) -> None:
    """Refuse a form that does not come from one of our own pages."""
    security.check_origin(request, config)
    security.check_form_token(config, binding=binding, token=csrf)


def check_own_site(request: Request, config: AppConfig) -> None:
    """Refuse what another site sends with the help of a user's browser."""
    security.check_origin(request, config)


OwnForm = Annotated[None, Depends(check_form)]
"""For forms of pages."""
OwnSite = Annotated[None, Depends(check_own_site)]
"""For routes that programs call: they have no form token."""


def who(viewing: Viewing) -> str:
    """Who does something, for the record."""
    return viewing.login.username if viewing.login else "somebody without a login"


def visitor_of(request: Request) -> Visitor:
    """Where a request comes from; the web server has judged what a proxy says."""
    return Visitor(
        address=request.client.host if request.client else None,
        user_agent=request.headers.get("user-agent"),
    )
