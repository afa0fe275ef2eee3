"""Puts the pages, and the API of people's programs, into the application."""

from fastapi import FastAPI

from argos.server.routes import pages, security
from argos.server.routes.api import (
    app as app_api,
    incidents,
    notices,
    silences,
    statistics,
)
from argos.server.routes.body_limit import BodyLimit
from argos.server.routes.pages.errors import add_page_error_handlers


def add_web(app: FastAPI) -> None:
    """Add routes, headers and answers to errors."""
    app.include_router(pages.router)
    app.include_router(app_api.router)
    app.include_router(statistics.router)
    app.include_router(notices.router)
    app.include_router(silences.router)
    app.include_router(incidents.router)
    add_page_error_handlers(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(security.SecurityHeaders)
