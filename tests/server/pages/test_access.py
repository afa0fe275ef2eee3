"""Who may ask for what: the table, the routes, and what really happens."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from argos.server.routes import access
from argos.server.routes.access import GUARDS, ROUTES, Access
from tests.server.browsing import browse

EXAMPLES = {
    "delivery_id": "1",
    "host": "cloud.example.org",
    "task_id": "1",
    "result_id": "1",
    "incident_id": "1",
    "silence_id": "1",
    "name": "style.css",
    "group_id": "1",
}
GUARDED = {Access.DASHBOARD, Access.VIEWER, Access.ADMIN, Access.USER}
OPEN_IN = {
    None: set(),
    "dashboard": {Access.DASHBOARD},
    "all": {Access.DASHBOARD, Access.VIEWER, Access.ADMIN},
}


def _routes(app: Any) -> Iterator[APIRoute]:
    for route in app.routes:
        if isinstance(route, APIRoute):
            yield route
        elif original := getattr(route, "original_router", None):
            yield from _routes(original)


def _calls(dependant: Dependant) -> Iterator[Any]:
    for child in dependant.dependencies:
        yield child.call
        yield from _calls(child)


def _pairs(app: FastAPI) -> dict[tuple[str, str], APIRoute]:
    return {
        (method, route.path): route
        for route in _routes(app)
        for method in route.methods or ()
    }


def test_each_route_stands_in_the_table_and_nothing_else_does(web_app: FastAPI):
    assert set(_pairs(web_app)) == set(ROUTES)


def test_each_route_names_the_dependency_that_its_access_needs(web_app: FastAPI):
    wrong = {}
    for pair, route in _pairs(web_app).items():
        guards = {GUARDS[call] for call in _calls(route.dependant) if call in GUARDS}
        wanted = {ROUTES[pair]} if ROUTES[pair] in GUARDED else set()
        if guards != wanted:
            wrong[pair] = guards

    assert wrong == {}


def test_each_route_that_changes_something_refuses_other_sites(web_app: FastAPI):
    checks = {access.check_form, access.check_own_site}
    unguarded = [
        pair
        for pair, route in _pairs(web_app).items()
        if pair[0] not in {"GET", "HEAD"}
        and ROUTES[pair] is not Access.AGENT
        and not checks & set(_calls(route.dependant))
    ]

    assert unguarded == []


@pytest.mark.parametrize("mode", [None, "dashboard", "all"])
def test_strangers_get_what_the_mode_allows_and_no_more(
    make_app: Any, seeded: Any, mode: str | None
):
    app = make_app(general__unauthenticated_access=mode)
    stranger = browse(app)
    stranger.headers["Accept"] = "application/json"

    refused = set()
    for (method, path), wanted in ROUTES.items():
        answer = _ask(stranger, method, path)
        assert answer.status_code < 500, path
        if answer.status_code == 401:
            refused.add((method, path))
            if wanted is not Access.AGENT:
                assert answer.json() == {
                    "access": "denied",
                    "msg": "You are not authenticated or your token has expired",
                }

    expected = {
        pair
        for pair, wanted in ROUTES.items()
        if wanted in (GUARDED | {Access.AGENT}) - OPEN_IN[mode]
    }
    # To log out one has to be logged in, unless nobody needs to be.
    if mode != "all":
        expected |= {("GET", "/api/app/logout"), ("POST", "/api/app/logout")}
    assert refused == expected


def _ask(client: TestClient, method: str, path: str) -> Any:
    return client.request(method, path.format(**EXAMPLES))


def test_a_public_dashboard_tells_counts_but_no_names(make_app: Any, seeded: Any):
    stranger = browse(make_app(general__unauthenticated_access="dashboard"))

    text = stranger.get("/").text

    assert "Critical" in text
    assert "critical problems" in text
    for secret in ("example.org", "Cloud storage", "paris", "Connection refused"):
        assert secret not in text


def test_a_program_without_a_session_is_refused_with_401(stranger: TestClient):
    answer = stranger.get("/api/app/domains", headers={"Accept": "application/json"})

    assert answer.status_code == 401
    assert answer.json()["access"] == "denied"


def test_a_browser_without_a_session_is_sent_to_the_login_by_a_get(
    stranger: TestClient,
):
    answer = stranger.post("/api/app/reschedule/all")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?msg=not-authenticated"
