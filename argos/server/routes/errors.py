"""What the web says when something goes wrong that no route knows of."""

import logging

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from argos.errors import DatabaseUnreachable, TookTooLong
from argos.server.routes.dependencies import get_app_state
from argos.server.routes.pages.errors import is_api, show_error, wants_page
from argos.server.routes.security import security_headers

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5


def add_error_handlers(app: FastAPI) -> None:
    """Answer them: pages to browsers, JSON to programs."""
    app.add_exception_handler(DatabaseUnreachable, _answer_unreachable)
    app.add_exception_handler(TookTooLong, _answer_slow)
    app.add_exception_handler(Exception, _answer_unexpected)


def _answer_unreachable(request: Request, err: Exception) -> Response:
    """503: whoever asks again gets an answer as soon as the database is back."""
    log.error("%s %s: %s", request.method, request.url.path, err)
    text = "The database cannot be reached; try again in a moment."
    return _answer(request, 503, text, {"Retry-After": str(RETRY_AFTER_S)})


def _answer_slow(request: Request, err: Exception) -> Response:
    """503: what takes so long is given up, before it keeps others waiting."""
    log.warning("%s %s was given up: %s", request.method, request.url.path, err)
    return _answer(request, 503, str(err), {"Retry-After": str(RETRY_AFTER_S)})


def _answer_unexpected(request: Request, err: Exception) -> Response:  # noqa: ARG001  # the web server logs it
    """500, without telling what broke: that is in the log."""
    return _answer(request, 500, "Argos made a mistake; its log says more.")


def _answer(
    request: Request, status: int, text: str, headers: dict[str, str] | None = None
) -> Response:
    # The server's last resort runs outside of what adds these to other answers.
    config = get_app_state(request).config
    headers = {**security_headers(config), **(headers or {})}
    if wants_page(request):
        return show_error(request, status, text, headers)
    if is_api(request):
        return JSONResponse({"detail": text}, status, headers)
    return PlainTextResponse(f"{text}\n", status, headers)
