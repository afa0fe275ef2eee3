"""Is the process alive, and can it do its work?"""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from argos.errors import DatabaseError
from argos.server.migrations.revision import check_revision
from argos.server.routes.dependencies import App

router = APIRouter(tags=["health"])


@router.get("/healthz", response_class=PlainTextResponse)
def read_health() -> str:
    """The process answers."""
    return "ok\n"


@router.get("/readyz", response_class=PlainTextResponse)
def read_readiness(app: App) -> PlainTextResponse:
    """The database answers, and has the schema that this version needs."""
    try:
        app.database.check_reachable()
        check_revision(app.database)
    except DatabaseError as err:
        return PlainTextResponse(f"{err}\n", 503)
    return PlainTextResponse("ok\n")
