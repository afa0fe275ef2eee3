"""What the web says when something goes wrong."""

import logging

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from argos.errors import DatabaseUnreachable

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5


def add_error_handlers(app: FastAPI) -> None:
    """Answer errors that no route knows of."""
    app.add_exception_handler(DatabaseUnreachable, _answer_unreachable)
    app.add_exception_handler(Exception, _answer_unexpected)


async def _answer_unreachable(request: Request, err: Exception) -> Response:  # noqa: RUF029  # starlette runs other ones in a thread
    """503: whoever asks again gets an answer as soon as the database is back."""
    log.error("%s %s: %s", request.method, request.url.path, err)
    return _answer(
        request,
        503,
        "The database cannot be reached; try again in a moment.",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


async def _answer_unexpected(request: Request, err: Exception) -> Response:  # noqa: ARG001, RUF029  # starlette's signature, and it logs the error
    """500, without telling what broke: that is in the log."""
    return _answer(request, 500, "Argos made a mistake; its log says more.")


def _answer(
    request: Request, status: int, detail: str, *, headers: dict[str, str] | None = None
) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": detail}, status, headers)
    return PlainTextResponse(f"{detail}\n", status, headers)
