import re
from datetime import datetime, timedelta

from fastapi.testclient import TestClient
from sqlalchemy import delete, insert, select, update

from argos.core.severity import Severity
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


def leave_out(database: Database) -> Result:
    """Results of the first task without a row: after its newest one, and before it."""
    with database.transaction() as session:
        session.execute(
            update(Result).where(Result.task_id == 1).values(severity=Severity.OK)
        )
        newest = session.scalars(
            select(Result)
            .where(Result.task_id == 1)
            .order_by(Result.submitted_at.desc())
            .limit(1)
        ).one()
        newest.left_out = 3_000
        task = session.get_one(Task, 1)
        task.kept_at, task.left_out = newest.submitted_at, 7
    return newest


def test_the_page_says_where_results_were_left_out(admin: TestClient, seeded: Database):
    newest = leave_out(seeded)

    text = admin.get("/task/1/results").text

    assert re.findall(r'<tr id="(\d+)">|>([\d,]+) more after it were like it', text)[
        :4
    ] == [("", "7"), (str(newest.id), ""), ("", "3,000"), (str(ids(text)[1]), "")]
    older = f"?before={(newest.submitted_at).isoformat().replace('+', '%2B')}"
    assert ">7 more after it" not in admin.get(f"/task/1/results{older}").text
    assert "The phases are those of one probe an hour" in text


def test_a_result_that_stands_for_others_says_for_how_many(
    admin: TestClient, seeded: Database
):
    newest = leave_out(seeded)
    with seeded.reading() as session:
        before = session.scalars(
            select(Result.id)
            .where(Result.task_id == 1, Result.id != newest.id)
            .order_by(Result.submitted_at.desc())
            .limit(1)
        ).one()

    assert "7 more after it were like it" in admin.get(f"/result/{newest.id}").text
    assert "3,000 more after it were like it" in admin.get(f"/result/{before}").text


def test_a_task_of_which_the_last_row_is_too_old_still_says_what_was_left_out(
    admin: TestClient, seeded: Database
):
    leave_out(seeded)
    with seeded.transaction() as session:
        session.execute(delete(Result).where(Result.task_id == 1))

    text = admin.get("/task/1/results").text

    assert "7 more after it were like it" in text
    assert "There is no result yet" not in text
