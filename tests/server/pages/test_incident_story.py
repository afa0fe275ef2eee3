"""Whom an incident speaks for, who takes care of it, and what people wrote."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from argos.core.cause import Cause
from argos.server.models import Incident, IncidentComment, Task


@pytest.fixture
def gathered(seeded) -> list[int]:
    """Two open incidents of the demonstration, the second under the first."""
    with seeded.transaction() as session:
        ids = list(
            session.scalars(
                select(Incident.id)
                .where(Incident.closed_at.is_(None))
                .order_by(Incident.id)
                .limit(2)
            )
        )
        session.execute(
            update(Incident)
            .where(Incident.id == ids[1])
            .values(
                parent_id=ids[0], cause=Cause.ADDRESS, address="192.0.2.1 443 connect"
            )
        )
    return ids


def test_parent_and_child_name_each_other(admin, gathered):
    parent = admin.get(f"/incident/{gathered[0]}").text
    child = admin.get(f"/incident/{gathered[1]}").text

    assert "It speaks for 1 incident: same address 192.0.2.1 (connect)" in parent
    assert f"/incident/{gathered[1]}" in parent
    assert f'/incident/{gathered[0]}">An incident on ' in child
    assert "speaks for it: same address 192.0.2.1 (connect)." in child


def test_a_child_whose_parent_went_with_its_task_says_why(admin, seeded, gathered):
    with seeded.transaction() as session:
        session.execute(
            update(Incident).where(Incident.id == gathered[1]).values(parent_id=9_999)
        )

    page = admin.get(f"/incident/{gathered[1]}").text

    assert "It began together with others: same address 192.0.2.1 (connect)." in page
    assert "/incident/9999" not in page


def acknowledged(database, ids):
    with database.reading() as session:
        rows = session.scalars(select(Incident).where(Incident.id.in_(ids)))
        return [(row.acknowledged_by, row.acknowledged_until) for row in rows]


def test_taking_care_covers_what_belongs_together(admin, csrf, seeded, gathered, now):
    answer = admin.post(
        f"/incident/{gathered[1]}/acknowledge",
        data={"csrf": csrf, "hours": "2", "comment": "On <it>\u202e"},
    )

    assert answer.status_code == 303
    until = now + timedelta(hours=2)
    assert acknowledged(seeded, gathered) == [("admin", until)] * 2
    page = admin.get(f"/incident/{gathered[0]}").text
    assert "admin takes care of it" in page
    assert "On &lt;it&gt;" in page
    assert "\u202e" not in page


def test_what_somebody_took_care_of_is_given_back(admin, csrf, seeded, gathered):
    form = {"csrf": csrf}
    admin.post(f"/incident/{gathered[0]}/acknowledge", data=form)
    assert "any more</button>" in admin.get(f"/incident/{gathered[0]}").text

    answer = admin.post(f"/incident/{gathered[1]}/withdraw", data=form)

    assert answer.status_code == 303
    assert acknowledged(seeded, gathered) == [(None, None)] * 2
    page = admin.get(f"/incident/{gathered[0]}").text
    assert "Nobody takes care of it any more." in page
    assert "any more</button>" not in page


def test_programs_give_back_what_somebody_took_care_of(admin, seeded, gathered):
    path = f"/api/app/incidents/{gathered[0]}"
    admin.post(f"{path}/acknowledge", json={})

    assert admin.post(f"{path}/withdraw").json() == {"count": 2}
    assert acknowledged(seeded, gathered) == [(None, None)] * 2
    assert admin.post(f"{path}/withdraw").status_code == 409
    assert admin.post("/api/app/incidents/9999999/withdraw").status_code == 404


def test_comments_are_kept(admin, csrf, seeded, gathered):
    admin.post(f"/incident/{gathered[0]}/comment", data={"csrf": csrf, "text": "A\nB"})

    with seeded.reading() as session:
        comment = session.scalars(select(IncidentComment)).one()
    assert (comment.author, comment.text) == ("admin", "A\nB")


@pytest.mark.parametrize("action", ["acknowledge", "withdraw", "comment"])
def test_forged_forms_are_refused(admin, seeded, gathered, action):
    answer = admin.post(
        f"/incident/{gathered[0]}/{action}", data={"csrf": "wrong", "text": "x"}
    )

    assert answer.status_code == 403
    assert acknowledged(seeded, gathered) == [(None, None)] * 2


@pytest.mark.parametrize("action", ["acknowledge", "withdraw", "comment"])
def test_unknown_incident_is_not_found(admin, csrf, action):
    answer = admin.post(f"/incident/999999/{action}", data={"csrf": csrf, "text": "x"})

    assert answer.status_code == 404


def test_programs_see_which_incident_speaks_for_which(admin, gathered):
    leader, child = gathered
    path = "/api/app/incidents"
    listed = {row["id"]: row for row in admin.get(path).json()}
    speakers = [row["id"] for row in admin.get(f"{path}?gathered=true").json()]
    children = admin.get(f"{path}?parent={leader}").json()
    story = admin.get(f"{path}/{leader}").json()

    counts = {"child_count": 1, "open_child_count": 1, "parent": None, "cause": None}
    assert counts.items() <= listed[leader].items()
    assert {
        "parent": leader,
        "cause": "address",
        "cause_name": "192.0.2.1",
        "cause_failure": "connect",
        "child_count": 0,
    }.items() <= listed[child].items()
    assert leader in speakers
    assert child not in speakers
    assert [row["id"] for row in children] == [child]
    assert story["children"] == children == [listed[child]]
    assert story["child_count"] == 1


@pytest.fixture
def many_children(seeded, gathered) -> list[int]:
    """Children of the first, some of which began at one moment and some are over."""
    with seeded.transaction() as session:
        child = session.get_one(Incident, gathered[1])
        values = {
            column.key: getattr(child, column.key)
            for column in Incident.__table__.columns
            if column.key not in {"id", "task_id", "opened_at", "closed_at"}
        }
        busy = select(Incident.task_id).where(Incident.closed_at.is_(None))
        tasks = session.scalars(select(Task.id).where(Task.id.not_in(busy)).limit(8))
        session.add_all(
            Incident(
                **values,
                task_id=task_id,
                opened_at=child.opened_at - timedelta(minutes=n // 3),
                closed_at=child.opened_at if n % 2 else None,
            )
            for n, task_id in enumerate(tasks)
        )
        session.flush()
        rows = session.scalars(
            select(Incident)
            .where(Incident.parent_id == gathered[0])
            .order_by(Incident.opened_at.desc(), Incident.id.desc())
        )
        found = [row.id for row in rows]
    assert len(found) == 9
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 9, 10])
@pytest.mark.parametrize("query", ["parent={}", "", "gathered=true"])
@pytest.mark.parametrize("state", ["open", "closed", "all"])
def test_programs_read_all_incidents_page_by_page(
    admin, gathered, many_children, query, limit, state
):
    path = f"/api/app/incidents?state={state}&{query.format(gathered[0])}"
    whole = [row["id"] for row in admin.get(f"{path}&limit=500").json()]

    pages = [admin.get(f"{path}&limit={limit}").json()]
    while len(pages[-1]) == limit:
        before = pages[-1][-1]["id"]
        pages.append(admin.get(f"{path}&limit={limit}&before={before}").json())

    assert [row["id"] for page in pages for row in page] == whole
    if query.startswith("parent") and state == "all":
        assert whole == many_children
    assert len(whole) > 1 or state == "closed"


def test_an_unknown_incident_has_no_page_after_it(admin):
    assert admin.get("/api/app/incidents?before=9999999").status_code == 404


def test_programs_read_and_acknowledge_incidents(admin, seeded, gathered):
    listed = admin.get("/api/app/incidents").json()
    count = admin.post(
        f"/api/app/incidents/{gathered[0]}/acknowledge", json={"comment": "Mine"}
    )
    story = admin.get(f"/api/app/incidents/{gathered[0]}").json()

    assert {row["id"] for row in listed} >= set(gathered)
    assert count.json() == {"count": 2}
    assert story["acknowledged_by"] == "admin"
    assert story["children"][0]["cause"] == "address"
    assert story["comments"][0]["text"] == "Mine"


def test_programs_comment_and_hear_what_is_wrong(admin, seeded, gathered):
    path = f"/api/app/incidents/{gathered[0]}"
    with seeded.transaction() as session:
        session.execute(update(Incident).values(closed_at=Incident.opened_at))

    assert admin.post(f"{path}/comments", json={"text": "Over"}).status_code == 201
    assert admin.post(f"{path}/comments", json={"text": ""}).status_code == 422
    assert admin.post(f"{path}/acknowledge", json={}).status_code == 409
    assert (
        admin.post("/api/app/incidents/9999999/acknowledge", json={}).status_code == 404
    )
    assert admin.get("/api/app/incidents/9999999").status_code == 404


def test_strangers_see_and_change_nothing(stranger, seeded, gathered):
    path = f"/api/app/incidents/{gathered[0]}"

    answers = [stranger.get(path), stranger.post(f"{path}/acknowledge", json={})]

    assert all(answer.status_code in {303, 401} for answer in answers)
    assert acknowledged(seeded, gathered) == [(None, None)] * 2
