"""What a visitor sees when a page cannot be shown, and what a program gets."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from argos.core.text import visible
from argos.errors import ForgedRequest, NotAuthenticated
from argos.server.routes import wording
from argos.server.routes.templating import Links, render

TITLES = {
    403: "This was refused",
    404: "There is no such page",
    405: "This does not work that way",
    422: "Argos does not understand this address",
    429: "Too many attempts",
    500: "Argos made a mistake",
    503: "Argos is not available at this moment",
}


STALE_FORM = (
    "The form is out of date, or it was not sent from a page of Argos. "
    "Go back, reload the page, and try again."
)
NO_PAGE = "The address may have a typing error, or what it led to is gone."


def add_page_error_handlers(app: FastAPI) -> None:
    """Answer refusals and mistakes: pages to browsers, JSON to programs."""
    app.add_exception_handler(NotAuthenticated, _answer_not_authenticated)
    app.add_exception_handler(ForgedRequest, _answer_forged)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_invalid)


def wants_page(request: Request) -> bool:
    """Whether the caller is a browser that looks at pages, not a program."""
    return not is_api(request) and "text/html" in request.headers.get("accept", "")


def is_api(request: Request) -> bool:
    """Whether a request is for the API, with the root path or without it."""
    root_path = str(request.scope.get("root_path", ""))
    return request.url.path.removeprefix(root_path).startswith("/api/")


def show_error(
    request: Request,
    status: int,
    text: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A page that says what is wrong; it reads nothing from the database."""
    response = render(
        request,
        "error.html",
        login=None,
        status=status,
        title=TITLES.get(status, "Something is wrong"),
        text=text,
    )
    response.headers.update(headers or {})
    return response


def _answer_not_authenticated(request: Request, error: Exception) -> Response:
    """To the login page; programs get 401.

    303, not the 307 of 0.10.3: a form that was sent too late must not be sent again, to
    the login page.
    """
    accept = request.headers.get("accept", "")
    is_program = "application/json" in accept or is_api(request)
    if "text/html" in accept or not is_program:
        target = f"{Links(request)('login')}?msg=not-authenticated"
        return RedirectResponse(target, 303)
    return JSONResponse({"access": "denied", "msg": str(error)}, 401)


def _answer_forged(request: Request, error: Exception) -> Response:
    if wants_page(request):
        return show_error(request, 403, STALE_FORM)
    return JSONResponse({"detail": str(error)}, 403)


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if not wants_page(request):
        return await http_exception_handler(request, error)
    is_bare = error.detail == HTTPStatus(error.status_code).phrase
    text = NO_PAGE if is_bare and error.status_code == 404 else str(error.detail)
    return show_error(request, error.status_code, text, error.headers)


def _answer_invalid(request: Request, error: Exception) -> Response:
    """422; 404 where a number in the path is none, or too large for one."""
    assert isinstance(error, RequestValidationError)
    if not wants_page(request):
        return JSONResponse(
            {"detail": [_describe(fault) for fault in error.errors()]}, 422
        )
    places = [fault["loc"] for fault in error.errors()]
    if any(place[0] == "path" for place in places):
        return show_error(request, 404, NO_PAGE)
    names = wording.join(sorted({str(place[-1]) for place in places}))
    return show_error(request, 422, f"This value is of no use here: {names}.")


def _describe(fault: Mapping[str, Any]) -> dict[str, Any]:
    """A fault without what was sent: that may be long, and no JSON can say it all."""
    place = [visible(part) if isinstance(part, str) else part for part in fault["loc"]]
    return {"type": fault["type"], "loc": place, "msg": visible(fault["msg"])}
