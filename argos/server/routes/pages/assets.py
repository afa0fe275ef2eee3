"""Stylesheet, scripts and logo: few files, named one by one."""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from argos.server.routes.templating import (
    STATIC_FILES,
    Links,
    static_file,
    static_version,
)

router = APIRouter()

KEPT = f"public, max-age={365 * 24 * 3600}, immutable"
"""For addresses that change with the content."""
KEPT_SHORTLY = "public, max-age=300"
"""For those that do not: scripts import each other by plain names."""


@router.get("/static/{name}", name="static_file")
def serve_static_file(name: str, v: str | None = None) -> Response:
    """A file of the fixed list; no path is ever made of what the visitor sends."""
    if name not in STATIC_FILES:
        raise HTTPException(404, "There is no such file.")
    return Response(
        static_file(name),
        media_type=STATIC_FILES[name],
        headers={"Cache-Control": KEPT if v == static_version(name) else KEPT_SHORTLY},
    )


@router.get("/favicon.ico", name="favicon")
def serve_favicon(request: Request) -> Response:
    """The logo, for browsers that ask without being told."""
    return RedirectResponse(Links(request).static("logo.svg"), 303)
