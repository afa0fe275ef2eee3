import re
from datetime import datetime, timedelta

from fastapi.testclient import TestClient
from sqlalchemy import insert, select, update

from argos.server.database import Database
from argos.server.models import Result, Schedule, Task


def add_results(database: Database, count: int, *, now: datetime) -> None:
    """Results of the first task, a minute apart, from an hour ago backwards."""
    with database.transaction() as session:
        session.execute(
            insert(Result),
            [
                {
                    "id": 10_000 + number,
                    "task_id": 1,
                    "submitted_at": now - timedelta(hours=2, minutes=number),
                    "status": "success",
                    "severity": "ok",
                    "context": {},
                }
                for number in range(count)
            ],
        )


def ids(html: str) -> list[int]:
    return [int(found) for found in re.findall(r'<tr id="(\d+)">', html)]


def test_the_history_is_paged_without_repeats_or_holes(
    admin: TestClient, seeded: Database, now: datetime
):
    add_results(seeded, 250, now=now)
    with seeded.reading() as session:
        wanted = session.scalars(
            select(Result.id)
            .where(Result.task_id == 1)
            .order_by(Result.submitted_at.desc())
        ).all()

    found: list[int] = []
    path = "/task/1/results"
    for _ in range(10):
        text = admin.get(path).text
        assert len(ids(text)) <= 100
        found += ids(text)
        older = re.search(r'href="([^"]*before=[^"]*)"', text)
        if older is None:
            break
        path = older[1].replace("&amp;", "&")

    assert found == wanted


def test_each_row_can_be_linked_to_by_the_id_of_its_result(
    admin: TestClient, seeded: Database
):
    text = admin.get("/task/1/results").text

    assert 'id="1"' in text
    assert 'href="/result/1"' in text


def test_the_page_says_what_is_asked_and_expected(admin: TestClient):
    text = " ".join(re.sub(r"<[^>]+>", " ", admin.get("/task/1/results").text).split())

    assert (
        "Expected 200 Request GET, every 5 min; after a failure again in 1 min" in text
    )
    assert "over IPv4" in text


def test_a_task_that_an_agent_holds_says_so(
    admin: TestClient, seeded: Database, now: datetime
):
    with seeded.transaction() as session:
        session.execute(update(Schedule).values(leased_at=now, leased_by="paris"))

    assert "being checked by paris" in admin.get("/task/1/results").text


def test_a_task_without_results_says_so(admin: TestClient, seeded: Database):
    with seeded.reading() as session:
        new = session.scalars(
            select(Task.id).where(Task.completed_at.is_(None))
        ).first()

    text = admin.get(f"/task/{new}/results").text

    assert "There is no result yet." in text
    assert "waiting to be checked for the first time" in text


def test_a_task_is_checked_now_on_request(
    admin: TestClient, csrf: str, seeded: Database, now: datetime
):
    answer = admin.post("/task/1/recheck", data={"csrf": csrf})

    assert answer.headers["location"] == "/task/1/results?done=recheck"
    with seeded.reading() as session:
        task = session.get_one(Task, 1)
        assert task.schedule is not None
        assert task.schedule.due_at == now
    assert admin.post("/task/999/recheck", data={"csrf": csrf}).status_code == 404


def test_a_figure_table_stands_beside_the_chart(admin: TestClient):
    text = admin.get("/task/1/results?range=6h").text

    assert "The same as a table" in text
    assert re.search(r'<path class="c4" d="M[\d.,ML Z-]+"', text)


def test_a_result_stands_beside_the_last_good_one(admin: TestClient, seeded: Database):
    with seeded.reading() as session:
        bad = session.scalars(
            select(Result.id)
            .where(Result.severity == "critical")
            .order_by(Result.task_id, Result.submitted_at)
        ).first()

    text = admin.get(f"/result/{bad}").text

    assert "The last good one" in text
    assert "Connection refused on port 443." in text


def test_the_time_of_a_result_is_shown_by_phase(admin: TestClient):
    text = admin.get("/result/1").text

    assert len(re.findall(r'<rect class="c\d" ', text)) == 5
    assert "first byte" in text
