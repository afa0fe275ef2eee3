import re
from datetime import datetime

from fastapi import FastAPI
from fastapi.testclient import TestClient

from argos.server.database import Database
from tests.server.browsing import PASSWORD, browse, logged_in

NEW = "a much better password"


def test_a_user_sees_where_the_sessions_are_and_ends_the_others(
    admin: TestClient, web_app: FastAPI, seeded: Database, now: datetime, csrf: str
):
    other = logged_in(web_app, seeded, now=now, token="another")
    assert "Log out everywhere else" in admin.get("/account").text

    answer = admin.post("/account/sessions/end", data={"csrf": csrf})

    assert answer.headers["location"] == "/account?done=sessions"
    assert "everywhere else" in admin.get("/account?done=sessions").text
    assert other.get("/").status_code == 303


def test_another_password_ends_this_session_too(
    admin: TestClient, csrf: str, web_app: FastAPI
):
    answer = admin.post(
        "/account/password",
        data={"csrf": csrf, "present": PASSWORD, "wanted": NEW, "repeated": NEW},
    )

    assert answer.headers["location"] == "/login?msg=password-changed"
    assert admin.get("/").status_code == 303
    browser = browse(web_app)
    token = re.search(r'name="csrf" value="(\w+)"', browser.get("/login").text)
    assert token is not None
    again = browser.post(
        "/login", data={"csrf": token[1], "username": "admin", "password": NEW}
    )
    assert again.status_code == 303


def test_a_mistyped_password_changes_nothing(admin: TestClient, csrf: str):
    for fields, text in [
        ({"repeated": "another"}, "The new passwords differ."),
        ({"present": "wrong"}, "The present password is wrong."),
        ({"wanted": "short", "repeated": "short"}, "too short"),
        ({"wanted": "", "repeated": ""}, "empty"),
    ]:
        answer = admin.post(
            "/account/password",
            data={
                "csrf": csrf,
                "present": PASSWORD,
                "wanted": NEW,
                "repeated": NEW,
                **fields,
            },
        )
        assert answer.status_code == 422
        assert text in answer.text

    assert admin.get("/").status_code == 200
