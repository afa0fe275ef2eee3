"""The dashboard: is anything wrong, what, since when, and who has been told."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from argos.server.database import Session
from argos.server.queries import overview, websites
from argos.server.queries.websites import WebsiteSearch
from argos.server.routes import security
from argos.server.routes.access import DashboardViewer, OwnForm
from argos.server.routes.dependencies import AppConfig, Fleet
from argos.server.routes.pages.agents import agent_rows, describe_agents
from argos.server.routes.pages.headline import make_headline
from argos.server.routes.pages.rows import WebsiteRow, trouble_cards, website_rows
from argos.server.routes.pages.visit import Visit
from argos.server.routes.templating import (
    DEFAULT_REFRESH_S,
    MAX_REFRESH_S,
    MIN_REFRESH_S,
    Links,
    render,
)

router = APIRouter()

SHOWN_CARDS = 6
SHOWN_WEBSITES = 8
COOKIE_AGE_S = 400 * 24 * 3600
"""The longest that browsers allow."""


@router.get("/", name="dashboard")
def show_dashboard(
    viewer: DashboardViewer, visit: Visit, counts: Fleet, done: str | None = None
) -> Response:
    """How the whole fleet is."""
    session, now = visit.session, visit.now
    agents = agent_rows(session, visit.config, now=now)
    cards = trouble_cards(session) if viewer.sees_all else []
    return render(
        visit.request,
        "dashboard.html",
        login=viewer.login,
        sees_all=viewer.sees_all,
        counts=counts,
        headline=make_headline(counts, agents),
        cards=cards[:SHOWN_CARDS],
        hidden_card_count=max(0, len(cards) - SHOWN_CARDS),
        rows=_rows(session, now=now) if viewer.sees_all else [],
        agents=agents,
        agents_at_work=describe_agents(agents),
        oldest_due_at=overview.get_oldest_due_at(session, now=now),
        is_rechecking=done == "recheck",
    )


def _rows(session: Session, *, now: datetime) -> list[WebsiteRow]:
    page = websites.list_websites(session, WebsiteSearch(limit=SHOWN_WEBSITES))
    return website_rows(session, page.websites, now=now)


@router.post("/refresh", name="refresh")
def set_refresh(
    _viewer: DashboardViewer,
    _form: OwnForm,
    request: Request,
    config: AppConfig,
    auto_refresh_enabled: Annotated[bool, Form()] = False,
    auto_refresh_seconds: Annotated[
        int, Form(ge=MIN_REFRESH_S, le=MAX_REFRESH_S)
    ] = DEFAULT_REFRESH_S,
) -> Response:
    """Remember, in the cookies that 0.10.3 uses, how often pages renew themselves."""
    response = RedirectResponse(Links(request)("dashboard"), 303)
    for name, value in (
        ("auto_refresh_enabled", str(auto_refresh_enabled)),
        ("auto_refresh_seconds", str(auto_refresh_seconds)),
    ):
        response.set_cookie(
            name,
            value,
            max_age=COOKIE_AGE_S,
            path="/",
            secure=security.is_secure(request, config),
            httponly=True,
            samesite="strict",
        )
    return response
