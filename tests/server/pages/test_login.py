import re
from datetime import datetime
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from argos.server.database import Database
from argos.server.models import LoginSession, User
from argos.server.queries import users
from argos.server.routes.security import form_token
from tests.server.browsing import PASSWORD, TurnedClock, browse, logged_in

WRONG = "Sorry, invalid username or bad password."


def form_value(browser: TestClient, path: str = "/login") -> str:
    """The token in a page's form."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', browser.get(path).text)
    assert found is not None
    return found[1]


def log_in(browser: TestClient, **fields: str) -> Any:
    return browser.post(
        "/login",
        data={
            "csrf": form_value(browser),
            "username": "admin",
            "password": PASSWORD,
            **fields,
        },
    )


def count_sessions(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(LoginSession)) or 0


def test_the_right_password_opens_a_session(stranger: TestClient):
    answer = log_in(stranger)

    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    assert stranger.get("/").status_code == 200


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(stranger: TestClient):
    cookie = log_in(stranger).headers["set-cookie"]

    assert re.fullmatch(
        r"__Host-argos=[\w-]{43}; HttpOnly; Max-Age=604800; Path=/; SameSite=lax; "
        "Secure",
        cookie,
    )


def test_over_plain_http_the_cookie_has_another_name(make_app: Any, seeded: Database):
    browser = browse(
        make_app(general__base_url=None), base_url="http://argos.example.org"
    )

    cookie = log_in(browser).headers["set-cookie"]

    assert cookie.startswith("argos-session=")
    assert "Secure" not in cookie
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "wrong"},
        {"username": "nobody"},
        {"username": "visitor", "password": PASSWORD},
        {"username": "admin\0"},
        {"username": "ad" * 500},
        {"username": ""},
        {"username": "Admin"},
        {"username": "' OR 1=1 --"},
    ],
    ids=[
        "wrong", "unknown", "disabled", "nul", "long", "empty", "case", "injection",
    ],
)  # fmt: skip
def test_a_refused_login_says_the_same_whatever_the_reason(
    stranger: TestClient, seeded: Database, fields: dict[str, str]
):
    with seeded.transaction() as session:
        session.execute(
            update(User).where(User.username == "visitor").values(disabled=True)
        )

    answer = log_in(stranger, **fields)

    assert answer.status_code == 200
    assert WRONG in answer.text
    assert "set-cookie" not in answer.headers
    assert count_sessions(seeded) == 0


@pytest.mark.parametrize(
    ("password", "text"),
    [
        ("", "The password is empty."),
        ("a\0b", "A password cannot contain a null character."),
        ("ü" * 513, "The password is too long; the limit is 1024 bytes."),
    ],
    ids=["empty", "nul", "long"],
)
def test_what_can_be_no_password_is_said_to_be_none(
    stranger: TestClient, password: str, text: str
):
    answer = log_in(stranger, password=password)

    assert answer.status_code == 422
    assert text in answer.text


def test_a_password_longer_than_bcrypt_reads_is_no_server_error(stranger: TestClient):
    assert WRONG in log_in(stranger, password="x" * 1024).text


def test_a_login_needs_the_token_of_its_form(stranger: TestClient, seeded: Database):
    answer = log_in(stranger, csrf="0" * 64)

    assert answer.status_code == 403
    assert "out of date" in answer.text
    assert count_sessions(seeded) == 0


def test_a_form_token_of_another_browser_is_refused(web_app: FastAPI):
    mine, theirs = browse(web_app), browse(web_app)
    token = form_value(mine)
    form_value(theirs)

    assert log_in(theirs, csrf=token).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://argos.example.org.evil.example"},
    ],
    ids=str,
)
def test_a_form_from_another_site_is_refused(
    admin: TestClient, csrf: str, headers: dict[str, str]
):
    answer = admin.post("/recheck", data={"csrf": csrf}, headers=headers)

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "https://argos.example.org"}],
    ids=str,
)
def test_a_form_of_our_own_is_accepted(
    admin: TestClient, csrf: str, headers: dict[str, str]
):
    answer = admin.post("/recheck", data={"csrf": csrf}, headers=headers)

    assert answer.status_code == 303


def test_a_new_login_ends_the_session_of_the_same_browser(
    admin: TestClient, seeded: Database, csrf: str
):
    answer = admin.post(
        "/login", data={"csrf": csrf, "username": "admin", "password": PASSWORD}
    )

    assert answer.status_code == 303
    assert count_sessions(seeded) == 1


def test_whoever_is_logged_in_needs_no_login_page(admin: TestClient):
    assert admin.get("/login").headers["location"] == "/"


@pytest.mark.parametrize(
    ("msg", "text"),
    [
        ("logout", "You are logged out."),
        ("not-authenticated", "Please log in"),
        ("<script>alert(1)</script>", "Log in"),
    ],
    ids=["logout", "not-authenticated", "unknown"],
)
def test_the_login_page_says_why_it_is_shown(stranger: TestClient, msg: str, text: str):
    answer = stranger.get("/login", params={"msg": msg})

    assert text in answer.text
    assert "alert(1)" not in answer.text


def test_remember_me_is_offered_only_when_configured(
    make_app: Any, stranger: TestClient, seeded: Database
):
    app = make_app(general__remember_me_duration="30d")

    assert "Remember me" not in stranger.get("/login").text
    assert "Remember me" in browse(app).get("/login").text
    remembered = log_in(browse(app), rememberme="on")
    assert "Max-Age=2592000;" in remembered.headers["set-cookie"]
    forgotten = log_in(browse(app), rememberme="off")
    assert "Max-Age=604800;" in forgotten.headers["set-cookie"]


def test_remember_me_means_nothing_where_it_is_not_configured(stranger: TestClient):
    answer = log_in(stranger, rememberme="on")

    assert "Max-Age=604800;" in answer.headers["set-cookie"]


def test_a_link_does_not_log_out(admin: TestClient):
    asked = admin.get("/logout")

    assert asked.status_code == 200
    assert 'method="post"' in asked.text
    assert admin.get("/").status_code == 200


def test_logging_out_ends_the_session_everywhere(
    admin: TestClient, web_app: FastAPI, csrf: str
):
    elsewhere = browse(web_app)
    elsewhere.cookies = admin.cookies

    answer = admin.post("/logout", data={"csrf": csrf})

    assert answer.headers["location"] == "/login?msg=logout"
    assert "Max-Age=0; Path=/; SameSite=lax; Secure" in answer.headers["set-cookie"]
    assert elsewhere.get("/").status_code == 303


def test_logging_out_twice_is_no_error(admin: TestClient, csrf: str):
    admin.post("/logout", data={"csrf": csrf})
    token = form_value(admin)

    assert admin.post("/logout", data={"csrf": token}).status_code == 303
    assert admin.get("/logout").headers["location"] == "/login?msg=logout"


def test_a_session_ends_when_it_is_idle_for_twelve_hours(
    admin: TestClient, clock: TurnedClock
):
    clock.turn(hours=11, minutes=59)
    used = admin.get("/")
    clock.turn(hours=11, minutes=59)
    used_again = admin.get("/")
    clock.turn(hours=12)
    too_late = admin.get("/")

    assert [a.status_code for a in (used, used_again, too_late)] == [200, 200, 303]


def test_a_session_ends_at_its_end_however_often_it_is_used(
    admin: TestClient, clock: TurnedClock
):
    statuses = []
    for _ in range(15):
        clock.turn(hours=11)
        statuses.append(admin.get("/agents").status_code)
    clock.turn(hours=11)

    assert set(statuses) == {200}
    assert admin.get("/agents").status_code == 303


@pytest.mark.parametrize(
    "change",
    [
        lambda session, now: users.set_disabled(
            session, username="admin", disabled=True, now=now
        ),
        lambda session, now: users.set_password(
            session, username="admin", password_hash="!", now=now
        ),
        lambda session, now: users.delete_user(session, username="admin"),
        lambda session, now: session.execute(update(User).values(disabled=True)),
    ],
    ids=["disabled", "other-password", "deleted", "disabled-by-hand"],
)
def test_a_change_of_the_user_ends_the_sessions_at_once(
    admin: TestClient, seeded: Database, now: datetime, change: Any
):
    assert admin.get("/").status_code == 200
    with seeded.transaction() as session:
        change(session, now)

    assert admin.get("/").status_code == 303


def test_a_session_of_somebody_else_lives_on(
    web_app: FastAPI, seeded: Database, now: datetime
):
    visitor = logged_in(web_app, seeded, now=now, username="visitor", token="other")
    with seeded.transaction() as session:
        users.set_disabled(session, username="admin", disabled=True, now=now)

    assert visitor.get("/").status_code == 200


@pytest.mark.parametrize(
    "value", ["", "garbage", "ü", "x" * 5000, "'; DROP TABLE users"]
)
def test_a_cookie_of_no_session_is_nobody(stranger: TestClient, value: str):
    answer = stranger.get(
        "/", headers=[(b"Cookie", f"__Host-argos={value}".encode("latin-1"))]
    )

    assert answer.status_code == 303


def test_a_token_of_0_10_3_is_nobody(stranger: TestClient):
    stranger.cookies.set("access-token", "eyJhbGciOiJIUzI1NiJ9.e30.x")

    assert stranger.get("/").status_code == 303


def test_where_all_is_public_nobody_logs_in_or_out(make_app: Any, seeded: Database):
    app = make_app(general__unauthenticated_access="all")
    browser = browse(app)

    assert browser.get("/login").headers["location"] == "/"
    assert browser.get("/logout").headers["location"] == "/"
    assert "Log out" not in browser.get("/").text
    assert browser.get("/domain/cloud.example.org").status_code == 200


def test_where_all_is_public_forms_still_need_their_token(
    make_app: Any, seeded: Database
):
    browser = browse(make_app(general__unauthenticated_access="all"))
    token = form_value(browser, "/")

    assert browser.post("/recheck", data={"csrf": "0" * 64}).status_code == 403
    assert browser.post("/recheck", data={"csrf": token}).status_code == 303


def test_a_form_token_is_bound_to_the_secret_of_the_config(
    web_app: FastAPI, make_app: Any
):
    other = make_app(general__cookie_secret="another-secret-of-another-server")

    ours = form_token(web_app.state.argos.config, "binding")

    assert ours != form_token(other.state.argos.config, "binding")
