from datetime import datetime
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from argos import VERSION
from argos.server.database import Database
from argos.server.queries import users
from tests.server.browsing import PASSWORD, browse

WRONG = {
    "access": "denied",
    "msg": "Sorry, invalid username or bad password.",
}
DENIED = {
    "access": "denied",
    "msg": "You are not authenticated or your token has expired",
}


@pytest.fixture
def program(web_app: FastAPI) -> TestClient:
    """Somebody's program, not logged in."""
    return api_client(web_app)


def api_client(app: FastAPI) -> TestClient:
    client = browse(app)
    client.headers["Accept"] = "application/json"
    return client


def log_in(client: TestClient, **fields: str) -> Any:
    return client.post(
        "/api/app/login",
        data={"username": "admin", "password": PASSWORD, **fields},
    )


def test_the_right_password_is_answered_with_a_cookie_to_send(program: TestClient):
    answer = log_in(program)

    body = answer.json()
    assert answer.status_code == 200
    assert body == {
        "access": "granted",
        "msg": "Login successful",
        "cookie_name": "__Host-argos",
        "cookie": body["cookie"],
    }
    assert "set-cookie" not in answer.headers
    program.cookies.set(body["cookie_name"], body["cookie"])
    assert program.get("/api/app/agents").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [{"password": "wrong"}, {"username": "nobody"}, {"username": "nul\0"}],
    ids=["wrong", "unknown", "nul"],
)
def test_a_refusal_is_401_with_one_text(program: TestClient, fields: dict[str, str]):
    answer = log_in(program, **fields)

    assert answer.status_code == 401
    assert answer.json() == WRONG


def test_a_disabled_user_is_refused(
    program: TestClient, seeded: Database, now: datetime
):
    with seeded.transaction() as session:
        users.set_disabled(session, username="admin", disabled=True, now=now)

    assert log_in(program).json() == WRONG


@pytest.mark.parametrize(
    "data",
    [{}, {"username": "admin"}, {"username": "", "password": ""}],
    ids=["nothing", "no-password", "empty"],
)
def test_missing_fields_are_422(program: TestClient, data: dict[str, str]):
    assert program.post("/api/app/login", data=data).status_code == 422


def test_an_overlong_password_is_422(program: TestClient):
    answer = log_in(program, password="x" * 1025)

    assert answer.status_code == 422
    assert answer.json()["access"] == "denied"


def test_too_many_attempts_are_429_with_the_time_to_wait(program: TestClient):
    for _ in range(5):
        assert log_in(program, password="wrong").status_code == 401

    answer = log_in(program)

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "12"
    assert answer.json()["access"] == "denied"


def test_another_site_cannot_log_a_browser_in(program: TestClient):
    program.headers["Sec-Fetch-Site"] = "cross-site"

    assert log_in(program).status_code == 403


def test_the_version_tells_whether_the_caller_is_known(
    program: TestClient, admin: TestClient
):
    assert program.get("/api/app/version").json() == {
        "argos_monitoring": VERSION,
        "logged_in": False,
    }
    assert admin.get("/api/app/version").json()["logged_in"] is True


def test_logging_out_ends_the_session(admin: TestClient):
    admin.headers["Accept"] = "application/json"

    answer = admin.get("/api/app/logout")

    assert answer.json() == {"logout": "success", "msg": "logout successful"}
    assert admin.get("/api/app/logout").status_code == 401
    assert admin.get("/api/app/version").json()["logged_in"] is False


def test_another_site_cannot_log_a_browser_out(admin: TestClient):
    headers = {"Sec-Fetch-Site": "cross-site"}

    assert admin.get("/api/app/logout", headers=headers).status_code == 403
    assert admin.get("/").status_code == 200


def test_where_all_is_public_nobody_needs_to_log_in_or_out(
    make_app: Any, seeded: Database
):
    client = api_client(make_app(general__unauthenticated_access="all"))

    assert log_in(client).json() == {
        "access": "granted",
        "msg": "No authentication needed",
    }
    assert client.get("/api/app/logout").json() == {
        "logout": "error",
        "msg": "No authentication needed",
    }


@pytest.mark.parametrize(
    "path",
    [
        "/api/app/",
        "/api/app/agents",
        "/api/app/agents/details",
        "/api/app/domains",
        "/domains",
        "/",
    ],
)
def test_without_a_session_json_is_refused_with_401(program: TestClient, path: str):
    answer = program.get(path)

    assert answer.status_code == 401
    assert answer.json() == DENIED
