"""The API of people's own programs: counters, websites, agents; by a session's cookie."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AwareDatetime, BaseModel

from argos import VERSION
from argos.core.severity import Severity
from argos.errors import (
    AccessError,
    NotAuthenticated,
    PasswordError,
    TooBusy,
    TooManyAttempts,
)
from argos.protocol import SeveritiesAnswer
from argos.server.database import Database
from argos.server.queries import overview
from argos.server.queries.hosts import HostState, list_hosts
from argos.server.routes import security
from argos.server.routes.access import (
    Admin,
    DashboardViewer,
    Logins,
    MaybeLogin,
    OwnSite,
    Viewer,
    visitor_of,
)
from argos.server.routes.dependencies import (
    App,
    AppConfig,
    Fleet,
    ReadSession,
    WaitingTasks,
)
from argos.server.routes.pages.login import needs_no_login, session_lifetime
from argos.server.services import recheck
from argos.server.services.login import Credentials

router = APIRouter(prefix="/api/app", tags=["app"])

NOT_CHECKED_YET = "Waiting to be checked"


class VersionAnswer(BaseModel):
    """Which version answers, and whether it knows the caller."""

    argos_monitoring: str
    logged_in: bool


class LoginAnswer(BaseModel):
    """A session to be sent back as a cookie."""

    access: Literal["granted"] = "granted"
    msg: str
    cookie_name: str | None = None
    cookie: str | None = None


class LogoutAnswer(BaseModel):
    """Whether a session was ended."""

    logout: Literal["success", "error"]
    msg: str


class FleetAnswer(BaseModel):
    """The dashboard's counters."""

    severities: SeveritiesAnswer
    agents: int
    waiting_tasks: int


class MessageAnswer(BaseModel):
    """What was done."""

    msg: str


class AgentsAnswer(BaseModel):
    """When each agent was last seen, in the server's local time."""

    agents: dict[str, str]


class AgentDetails(BaseModel):
    """An agent, as it last said of itself; null: it did not say."""

    name: str
    last_seen_at: AwareDatetime | None
    address: str | None
    location: str | None
    version: str | None
    slots: int | None
    busy: int | None
    """Probes at work."""
    waiting: int | None
    """Probes that only wait for their websites."""
    spooled: int | None
    """Results that wait for a server to take them."""
    cpu_percent: float | None
    """Of the cores that it may use."""
    lag_ms: float | None
    """How late its loop was at the worst, a moment ago."""
    is_over_budget: bool | None
    """It takes on less than it could, since its CPU is used up."""
    clock_offset_s: float | None
    """By how much its clock is ahead of the server's."""
    suspect_since: AwareDatetime | None
    suspect_reason: str | None


class AgentDetailsAnswer(BaseModel):
    """The agents that may report, last seen first."""

    agents: list[AgentDetails]


class DomainsAnswer(BaseModel):
    """Each website's severities, worst first, and its last check."""

    domains: dict[str, list[Severity]]
    domains_last_checks: dict[str, str]
    """In the server's local time."""
    total_task_count: int


@dataclass(frozen=True, slots=True)
class LoginForm:
    """What a program sends to log in."""

    credentials: Credentials
    is_remembered: bool


def _login_form(
    username: Annotated[str, Form(min_length=1)],
    password: Annotated[str, Form(min_length=1)],
    rememberme: Annotated[bool, Form()] = False,
) -> LoginForm:
    return LoginForm(Credentials(username, password), rememberme)


@router.get("/version")
def read_version(login: MaybeLogin) -> VersionAnswer:
    """The version of Argos."""
    return VersionAnswer(argos_monitoring=VERSION, logged_in=login is not None)


@router.post("/login", response_model=LoginAnswer, response_model_exclude_none=True)
def log_in(
    _site: OwnSite,
    request: Request,
    config: AppConfig,
    logins: Logins,
    typed: Annotated[LoginForm, Depends(_login_form)],
) -> LoginAnswer | Response:
    """Open a session."""
    if needs_no_login(config):
        return LoginAnswer(msg="No authentication needed")
    try:
        new = logins.log_in(
            typed.credentials,
            visitor=visitor_of(request),
            lifetime=session_lifetime(config, is_remembered=typed.is_remembered),
        )
    except AccessError as error:
        return _refusal(error)
    return LoginAnswer(
        msg="Login successful",
        cookie_name=security.session_cookie_name(request, config),
        cookie=new.token,
    )


@router.get("/logout")
@router.post("/logout", include_in_schema=False)
def log_out(
    _site: OwnSite,
    request: Request,
    config: AppConfig,
    logins: Logins,
    login: MaybeLogin,
) -> LogoutAnswer:
    """End the session. As a GET too: programs written for 0.10.3 know no other way."""
    if needs_no_login(config):
        return LogoutAnswer(logout="error", msg="No authentication needed")
    if login is None:
        raise NotAuthenticated
    logins.log_out(request.cookies[security.session_cookie_name(request, config)])
    return LogoutAnswer(logout="success", msg="logout successful")


@router.get("/")
def read_fleet(
    _viewer: DashboardViewer, session: ReadSession, counts: Fleet, waiting: WaitingTasks
) -> FleetAnswer:
    """How many checks have which severity, how many agents there are, what is due."""
    return FleetAnswer(
        severities=SeveritiesAnswer.of(dict(counts.checks)),
        agents=overview.count_agents(session),
        waiting_tasks=waiting,
    )


@router.post("/reschedule/all")
def reschedule_all(_admin: Admin, _site: OwnSite, app: App) -> MessageAnswer:
    """Check everything that is not ok as soon as an agent is free."""
    recheck.recheck_not_ok(app.database, app.clock)
    return MessageAnswer(msg="Non OK tasks reschuled")


@router.get("/agents")
def read_agents(_viewer: Viewer, session: ReadSession) -> AgentsAnswer:
    """When each agent was last seen."""
    return AgentsAnswer(
        agents={
            agent.name: _local(agent.last_seen_at).isoformat()
            for agent in overview.list_agents(session)
            if agent.last_seen_at is not None
        }
    )


@router.get("/agents/details")
def read_agent_details(_viewer: Viewer, session: ReadSession) -> AgentDetailsAnswer:
    """How busy each agent is, and whether it is to be believed."""
    names = AgentDetails.model_fields
    return AgentDetailsAnswer(
        agents=[
            AgentDetails(**{name: getattr(agent, name) for name in names})
            for agent in overview.list_agents(session)
        ]
    )


@router.get("/domains", response_model=DomainsAnswer)
def read_domains(_viewer: Viewer, app: App) -> Response:
    """Each website's severities, worst first; of a large fleet up to minutes old."""
    body = app.hosts.get(lambda: _hosts_document(app.database), app.clock)
    return Response(body, media_type="application/json")


def _hosts_document(database: Database) -> bytes:
    with database.reading() as session:
        hosts = list_hosts(session)
        task_count = overview.count_tasks(session)
    # As it is: a fleet's 20,000 websites would be validated for longer than counted.
    document = {
        "domains": {host.host: host.severities for host in hosts},
        "domains_last_checks": {host.host: _last_check(host) for host in hosts},
        "total_task_count": task_count,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _refusal(error: AccessError) -> Response:
    status = 401
    headers = {}
    if isinstance(error, PasswordError):
        status = 422
    if isinstance(error, TooManyAttempts):
        status, headers = 429, {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, TooBusy):
        status = 503
    return JSONResponse({"access": "denied", "msg": str(error)}, status, headers)


def _last_check(host: HostState) -> str:
    """As 0.10.3 writes it: `YYYY-MM-DD HH:MM:SS.ffffff`."""
    if host.last_check_at is None:
        return NOT_CHECKED_YET
    return _local(host.last_check_at).isoformat(" ", "microseconds")


def _local(moment: datetime) -> datetime:
    """The server's local time without its zone, which is what 0.10.3 answers."""
    return moment.astimezone().replace(tzinfo=None)
