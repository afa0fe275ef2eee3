import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from argos.server.database import Database
from argos.server.routes import templating
from argos.server.routes.access import MaybeLogin
from argos.server.routes.security import CONTENT_SECURITY_POLICY
from tests.server.browsing import browse

ALWAYS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/login", 200),
        ("GET", "/", 303),
        ("POST", "/login", 403),
        ("GET", "/nowhere", 404),
        ("DELETE", "/login", 405),
        ("GET", "/static/style.css", 200),
        ("GET", "/api/app/domains", 401),
        ("GET", "/api/tasks", 401),
        ("POST", "/api/app/login", 422),
        ("GET", "/healthz", 200),
    ],
)
def test_every_answer_has_the_headers(
    stranger: TestClient, method: str, path: str, status: int
):
    if path.startswith("/api/"):
        stranger.headers["Accept"] = "application/json"

    answer = stranger.request(method, path)

    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert answer.headers["permissions-policy"].startswith("accelerometer=()")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_the_answer_to_our_own_mistake_has_them_too_and_tells_nothing(
    web_app: FastAPI,
):
    @web_app.get("/broken")
    def break_down(login: MaybeLogin) -> None:
        raise RuntimeError("a secret of the server")

    stranger = TestClient(
        web_app,
        base_url="https://argos.example.org",
        headers={"Accept": "text/html"},
        raise_server_exceptions=False,
    )

    answer = stranger.get("/broken")

    assert answer.status_code == 500
    assert "Argos made a mistake" in answer.text
    assert "secret" not in answer.text
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS


def test_browsers_are_held_to_https_only_where_users_come_by_it(
    make_app: Any, seeded: Database
):
    plain = browse(make_app(general__base_url="http://argos.example.org"))

    assert "strict-transport-security" not in plain.get("/login").headers


def test_the_policy_allows_no_inline_code():
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("name", templating.STATIC_FILES)
def test_static_files_are_kept_by_browsers_until_they_change(
    stranger: TestClient, name: str
):
    version = templating.static_version(name)

    known = stranger.get(f"/static/{name}?v={version}")
    plain = stranger.get(f"/static/{name}")

    assert known.headers["content-type"] == templating.STATIC_FILES[name]
    assert known.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["cache-control"] == "public, max-age=300"
    assert known.content == plain.content


def test_no_template_or_script_says_where_to_load_foreign_code_from():
    foreign = re.compile(r"(?:src|href|import|url)\W+(?:https?:)?//")
    for name in templating.STATIC_FILES:
        assert not foreign.search(templating.static_file(name).decode())
