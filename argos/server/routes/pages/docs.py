"""The API's description: as OpenAPI, and to be read, without foreign scripts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from argos.server.routes.access import ROUTES, Access, CurrentUser
from argos.server.routes.templating import render

router = APIRouter()

ACCESS_WORDS = {
    Access.PUBLIC: "Anybody may call it.",
    Access.DASHBOARD: "It needs a session, unless the dashboard is public.",
    Access.VIEWER: "It needs a session, unless all pages are public.",
    Access.ADMIN: "It needs a session, unless all pages are public.",
    Access.USER: "It needs a session.",
    Access.AGENT: "It needs an agent's token.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of the API."""

    method: str
    path: str
    summary: str
    access: str
    parameters: tuple[tuple[str, str, str], ...]
    """Name, where it goes, and its type."""


@router.get("/openapi.json", name="openapi")
def serve_schema(request: Request, _user: CurrentUser) -> Response:
    """The OpenAPI description."""
    return JSONResponse(request.app.openapi())


@router.get("/docs", name="docs")
def show_docs(request: Request, user: CurrentUser) -> Response:
    """The same, to be read."""
    schema = request.app.openapi()
    return render(
        request,
        "docs.html",
        login=user,
        operations=list(_operations(schema)),
        schema_names=sorted(schema.get("components", {}).get("schemas", {})),
    )


def _operations(schema: Mapping[str, Any]) -> Iterator[Operation]:
    for path, methods in schema.get("paths", {}).items():
        for method, operation in methods.items():
            access = ROUTES.get((method.upper(), path))
            yield Operation(
                method=method.upper(),
                path=path,
                summary=operation.get("description") or operation.get("summary", ""),
                access=ACCESS_WORDS[access] if access else "",
                parameters=tuple(
                    (
                        parameter["name"],
                        parameter["in"],
                        _type_of(parameter.get("schema", {})),
                    )
                    for parameter in operation.get("parameters", ())
                ),
            )


def _type_of(schema: Mapping[str, Any]) -> str:
    options = schema.get("anyOf", [schema])
    return " or ".join(str(option.get("type", "any")) for option in options)
