from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from argos.core.rollup import Kind, hour_of, pack
from argos.core.severity import Severity
from argos.server.database import Database
from argos.server.models import Result, Schedule, Task, Website
from argos.server.queries import counting
from tests.server.browsing import browse


def test_the_fleet_is_counted(admin: TestClient):
    answer = admin.get("/api/app/").json()

    assert answer["severities"] == {
        "ok": 48, "warning": 4, "critical": 14, "unknown": 10,
    }  # fmt: skip
    assert answer["agents"] == 3
    assert answer["waiting_tasks"] == 6


def test_hosts_have_their_severities_worst_first(admin: TestClient):
    answer = admin.get("/api/app/domains").json()

    assert answer["domains"]["shop.example.org"] == ["critical", "ok"]
    assert answer["domains"]["api.example.org"] == ["unknown", "ok"]
    assert answer["domains"]["wiki.example.org"] == ["ok"]
    assert next(iter(answer["domains"])) in {"api.example.org", "new.example.com"}
    assert answer["total_task_count"] == 76
    assert answer["domains_last_checks"]["new.example.com"] == "Waiting to be checked"


def test_times_are_written_as_0_10_3_does(
    admin: TestClient, seeded: Database, monkeypatch: pytest.MonkeyPatch
):
    moment = datetime.fromisoformat("2026-03-14T11:58:00.000001+00:00")
    with seeded.transaction() as session:
        session.execute(
            update(Task)
            .where(Task.domain == "https://wiki.example.org/")
            .values(completed_at=moment)
        )

    answer = admin.get("/api/app/domains").json()
    local = moment.astimezone().replace(tzinfo=None)

    assert answer["domains_last_checks"]["wiki.example.org"] == str(local)


def test_agents_are_told_with_the_time_they_were_seen(admin: TestClient, now: datetime):
    agents = admin.get("/api/app/agents").json()["agents"]

    seen = (now - timedelta(minutes=0.1)).astimezone().replace(tzinfo=None)
    assert list(agents) == ["paris", "ams", "lyon"]
    assert agents["paris"] == seen.isoformat()


def due_times(database: Database) -> dict[int, Any]:
    with database.reading() as session:
        rows = session.execute(select(Schedule.id, Schedule.due_at, Schedule.next_run))
        return {id_: (due_at, next_run) for id_, due_at, next_run in rows}


def not_ok_groups(database: Database) -> set[int]:
    with database.reading() as session:
        return set(session.scalars(select(Task.group_id).where(Task.severity != "ok")))


def test_what_is_not_ok_is_due_at_once(
    admin: TestClient, seeded: Database, now: datetime
):
    before, bad = due_times(seeded), not_ok_groups(seeded)

    answer = admin.post("/api/app/reschedule/all")

    assert answer.json() == {"msg": "Non OK tasks reschuled"}
    after = due_times(seeded)
    assert {id_ for id_ in after if after[id_][0] <= now} == bad
    assert all(after[id_] == before[id_] for id_ in after if id_ not in bad)
    # What never ran still has no planned run, and thus goes on being new.
    assert {id_ for id_ in after if after[id_][1] is None} == {
        id_ for id_ in before if before[id_][1] is None
    }


def test_what_an_agent_holds_is_left_alone(
    admin: TestClient, seeded: Database, now: datetime
):
    with seeded.transaction() as session:
        session.execute(update(Schedule).values(leased_at=now, leased_by="paris"))
    before = due_times(seeded)

    admin.post("/api/app/reschedule/all")

    assert due_times(seeded) == before


def test_archived_tasks_are_neither_counted_nor_checked(
    admin: TestClient, seeded: Database, now: datetime
):
    with seeded.transaction() as session:
        session.execute(update(Task).values(archived_at=now))
    before = due_times(seeded)

    admin.post("/api/app/reschedule/all")

    assert due_times(seeded) == before
    assert admin.get("/api/app/domains").json()["domains"] == {}
    assert set(admin.get("/api/app/").json()["severities"].values()) == {0}


@pytest.mark.parametrize(
    ("mode", "status"), [(None, 401), ("dashboard", 401), ("all", 200)]
)
def test_strangers_reschedule_only_where_all_is_public(
    make_app: Any, seeded: Database, mode: str | None, status: int
):
    client = browse(make_app(general__unauthenticated_access=mode))
    client.headers["Accept"] = "application/json"

    assert client.post("/api/app/reschedule/all").status_code == status


def test_another_site_cannot_reschedule(admin: TestClient):
    headers = {"Sec-Fetch-Site": "cross-site"}

    assert admin.post("/api/app/reschedule/all", headers=headers).status_code == 403


def test_figures_of_a_website_are_those_of_its_results(
    admin: TestClient, seeded: Database
):
    answer = admin.get("/api/app/websites/shop.example.org/statistics").json()

    with seeded.reading() as session:
        severities = session.scalars(
            select(Result.severity)
            .join(Task, Task.id == Result.task_id)
            .join(Website, Website.id == Task.website_id)
            .where(Website.host == "shop.example.org")
        ).all()
    counted = {severity.value: severities.count(severity) for severity in Severity}
    assert list(answer["periods"]) == ["24h", "7d", "30d", "90d", "1y"]
    for figures in answer["periods"].values():
        assert figures["results"] == {**counted, "maintenance": 0}
        up = counted["ok"] + counted["warning"]
        assert figures["uptime"] == pytest.approx(up / (up + counted["critical"]))
        times = figures["response_ms"]
        assert 0 < times["p50"] <= times["p95"] <= times["p99"]


def test_what_was_not_measured_and_planned_maintenance_are_neither_up_nor_down(
    admin: TestClient, seeded: Database, now: datetime
):
    with seeded.transaction() as session:
        task_id = session.scalars(
            select(Task.id).join(Website).where(Website.host == "new.example.com")
        ).first()
        assert task_id is not None
        counting.add_task_hours(
            session,
            hours={
                (task_id, hour_of(now) - 2): pack({Kind.MAINTENANCE: 12}),
                (task_id, hour_of(now) - 3): pack({Kind.UNKNOWN: 6, Kind.OK: 3}),
                (task_id, hour_of(now) - 4): pack({Kind.CRITICAL: 1}),
            },
        )

    day = admin.get(f"/api/app/tasks/{task_id}/statistics").json()["periods"]["24h"]

    assert day["results"] == {
        "ok": 3, "warning": 0, "critical": 1, "unknown": 6, "maintenance": 12,
    }  # fmt: skip
    assert day["uptime"] == 0.75
    assert day["response_ms"] == {"p50": None, "p95": None, "p99": None}
    page = admin.get(f"/task/{task_id}/results").text
    assert "75.000 %" in page
    assert "6 results" in page
    assert "planned maintenance</title>" in page


@pytest.mark.parametrize("path", ["websites/nowhere.example", "tasks/4711"])
def test_figures_of_what_is_not_watched_are_404(admin: TestClient, path: str):
    assert admin.get(f"/api/app/{path}/statistics").status_code == 404


def test_agents_are_told_with_all_that_they_said_of_themselves(admin: TestClient):
    agents = admin.get("/api/app/agents/details").json()["agents"]

    assert [agent["name"] for agent in agents] == ["paris", "ams", "lyon"]
    assert {"location", "busy", "cpu_percent", "clock_offset_s"} <= agents[0].keys()
    assert agents[0]["last_seen_at"].endswith("Z")
