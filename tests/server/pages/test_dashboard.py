import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import delete, update

from argos.core.severity import Severity
from argos.server.database import Database
from argos.server.models import Agent, Incident, Task
from argos.server.queries.overview import AgentSummary, FleetCounts
from argos.server.routes.pages.agents import AgentRow
from argos.server.routes.pages.headline import make_headline
from tests.server.browsing import browse

OK, WARNING, CRITICAL, UNKNOWN = Severity


def fleet_of(**websites: int) -> FleetCounts:
    counts = {
        severity: websites.get(severity.value, 0)
        for severity in (OK, WARNING, CRITICAL, UNKNOWN)
    }
    return FleetCounts(counts, counts, sum(counts.values()))


def agent(*, is_alive: bool = True) -> AgentRow:
    return AgentRow(AgentSummary("paris", None, None, None, (), 1, 0, 0), is_alive)


@pytest.mark.parametrize(
    ("counts", "agents", "severity", "sentence"),
    [
        (fleet_of(), [agent()], UNKNOWN, "Nothing is watched yet"),
        (fleet_of(ok=3), [], UNKNOWN, "No agent has come yet, so nothing is measured"),
        (
            fleet_of(ok=3),
            [agent(is_alive=False)],
            CRITICAL,
            "No agent is at work, so nothing is measured",
        ),
        (fleet_of(ok=1), [agent()], OK, "Your website is fine"),
        (fleet_of(ok=1284), [agent()], OK, "All 1,284 websites are fine"),
        (
            fleet_of(ok=1, critical=1),
            [agent()],
            CRITICAL,
            "1 website has a critical problem, everything else is fine",
        ),
        (
            fleet_of(ok=1, critical=2, warning=1),
            [agent()],
            CRITICAL,
            "2 websites have critical problems, 1 more needs a look",
        ),
        (
            fleet_of(critical=1, warning=1, unknown=1),
            [agent()],
            CRITICAL,
            "1 website has a critical problem, 2 more need a look",
        ),
        (
            fleet_of(ok=1, warning=6),
            [agent()],
            WARNING,
            "6 websites have warnings, nothing is critical",
        ),
        (
            fleet_of(ok=1, unknown=1),
            [agent(), agent(is_alive=False)],
            UNKNOWN,
            "1 website is not fully measured, everything else is fine",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_headline_says_what_matters(
    counts: FleetCounts, agents: list[AgentRow], severity: Severity, sentence: str
):
    headline = make_headline(counts, agents)

    assert headline.severity is severity
    assert headline.strong + headline.rest == sentence


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_what_goes_on_comes_first_and_one_cause_is_told_once(admin: TestClient):
    text = text_of(admin.get("/").text)

    assert "Cloud storage Critical for 14 min Connection refused on port 443." in text
    assert "12 checks over IPv4 and IPv6" in text
    assert "told: mail being told: apprise:team" in text
    assert "2 websites Warning for 2 h The certificate expires in 4 days." in text
    assert text.index("Cloud storage") < text.index("The certificate expires")
    assert text.index("Happening now") < text.index("Last 24 hours")


def test_a_healthy_fleet_is_a_quiet_page(admin: TestClient, seeded: Database):
    with seeded.transaction() as session:
        session.execute(delete(Incident))
        session.execute(update(Task).values(severity=OK))

    text = admin.get("/").text

    assert "All 9 websites are fine" in text
    assert "Happening now" not in text
    assert 'class="tile critical"' not in text


def test_without_an_agent_the_page_says_how_to_start_one(
    admin: TestClient, seeded: Database
):
    with seeded.transaction() as session:
        session.execute(delete(Agent))

    text = admin.get("/").text

    assert "No agent has come yet" in text
    assert "argos agent URL TOKEN" in text


def test_silent_agents_are_an_alarm_of_their_own(
    admin: TestClient, seeded: Database, now: datetime
):
    with seeded.transaction() as session:
        session.execute(update(Agent).values(last_seen_at=now - timedelta(minutes=6)))

    text = text_of(admin.get("/").text)

    assert "No agent is at work , so nothing is measured" in text
    assert "0 of 3 agents at work" in text


@pytest.mark.parametrize(
    ("data", "status", "enabled", "seconds"),
    [
        (
            {"auto_refresh_enabled": "true", "auto_refresh_seconds": "30"},
            303,
            "True",
            "30",
        ),
        ({"auto_refresh_seconds": "30"}, 303, "False", "30"),
        ({"auto_refresh_enabled": "True"}, 303, "True", "15"),
        ({"auto_refresh_seconds": "4"}, 422, None, None),
        ({"auto_refresh_seconds": "x"}, 422, None, None),
    ],
    ids=["on", "off", "default", "too-often", "no-number"],
)
def test_how_often_pages_renew_themselves_is_kept_in_cookies(
    admin: TestClient,
    csrf: str,
    data: dict[str, str],
    status: int,
    enabled: str | None,
    seconds: str | None,
):
    answer = admin.post("/refresh", data={"csrf": csrf, **data})

    assert answer.status_code == status
    if status == 303:
        cookies = answer.headers.get_list("set-cookie")
        assert answer.headers["location"] == "/"
        assert cookies == [
            f"{name}={value}; HttpOnly; Max-Age=34560000; Path=/; SameSite=strict; Secure"
            for name, value in (
                ("auto_refresh_enabled", enabled),
                ("auto_refresh_seconds", seconds),
            )
        ]


@pytest.mark.parametrize(
    ("cookies", "has_script", "meta"),
    [
        ({}, True, None),
        ({"auto_refresh_enabled": "False"}, False, None),
        ({"auto_refresh_enabled": "True"}, True, "15"),
        (
            {"auto_refresh_enabled": "True", "auto_refresh_seconds": "60"},
            True,
            "60",
        ),
        ({"auto_refresh_enabled": "True", "auto_refresh_seconds": "1"}, True, "5"),
        ({"auto_refresh_enabled": "True", "auto_refresh_seconds": "'><b>"}, True, "15"),
    ],
    ids=["none", "off", "on", "chosen", "too-often", "nonsense"],
)
def test_the_cookies_decide_how_a_page_renews_itself(
    admin: TestClient, cookies: dict[str, str], has_script: bool, meta: str | None
):
    for name, value in cookies.items():
        admin.cookies.set(name, value)

    text = admin.get("/").text

    assert ("live.js" in text) is has_script
    found = re.search(r'http-equiv="refresh" content="(\d+)"', text)
    assert (found[1] if found else None) == meta


def test_everything_not_ok_is_checked_again_on_request(admin: TestClient, csrf: str):
    answer = admin.post("/recheck", data={"csrf": csrf})

    assert answer.status_code == 303
    assert answer.headers["location"] == "/?done=recheck"
    assert "will be checked" in admin.get("/?done=recheck").text


def test_a_public_dashboard_offers_no_way_to_check_again(
    make_app: Any, seeded: Database
):
    stranger = browse(make_app(general__unauthenticated_access="dashboard"))

    text = stranger.get("/").text

    assert "/recheck" not in text
    assert 'href="/domains' not in text


@pytest.mark.parametrize("path", ["/", "/argos/", "/domains", "/argos/domains"])
def test_pages_work_below_a_root_path_and_without_it(
    make_app: Any, seeded: Database, path: str
):
    app = make_app(general__root_path="/argos", general__unauthenticated_access="all")

    answer = browse(app).get(path)

    assert answer.status_code == 200
    links = set(re.findall(r'(?:href|src|action)="([^"#][^"]*)"', answer.text))
    assert links
    assert {link for link in links if not link.startswith("/argos/")} == set()


def test_no_link_is_made_of_what_the_visitor_calls_us(web_app: FastAPI):
    stranger = browse(web_app)

    answer = stranger.get("/login", headers={"Host": "evil.example"})

    assert "evil.example" not in answer.text
