"""The page of agents."""

import re

import pytest
from sqlalchemy import insert, select, update

from argos.server.models import Agent, Duty, Schedule
from tests.server.browsing import logged_in


@pytest.mark.parametrize(
    ("offset_s", "expected"),
    [
        (None, None),
        (4.9, None),
        (-4.9, None),
        (5.5, "its clock is 5 s ahead"),
        (-75.0, "its clock is 1 min behind"),
        (1e300, "its clock is 365,000 days ahead"),
    ],
)
def test_i17_a_clock_that_is_off_is_shown(admin, seeded, offset_s, expected):
    with seeded.transaction() as session:
        session.execute(
            update(Agent).where(Agent.name == "paris").values(clock_offset_s=offset_s)
        )

    page = admin.get("/agents").text

    assert ("its clock is" in page) is (expected is not None)
    assert expected is None or expected in page


@pytest.mark.parametrize(("offset_s", "icon"), [(59.0, "ok"), (-61.0, "warning")])
def test_i17_a_clock_that_people_are_told_of_is_marked(admin, seeded, offset_s, icon):
    with seeded.transaction() as session:
        session.execute(
            update(Agent).where(Agent.name == "paris").values(clock_offset_s=offset_s)
        )

    row = admin.get("/agents").text.partition(" paris")[0].rpartition("<svg")[2]

    assert f'class="i {icon}"' in row


def test_the_clock_of_an_agent_that_is_gone_says_nothing(admin, seeded):
    with seeded.transaction() as session:
        session.execute(
            update(Agent).where(Agent.name == "lyon").values(clock_offset_s=90.0)
        )

    assert "its clock is" not in admin.get("/agents").text


PINGS = [
    (None, "The ping to hc.example.org has not gone out yet."),
    (
        {"pinged_at": 1_773_489_590.0, "trouble": ""},
        "The ping to hc.example.org goes out, last",
    ),
    (
        {"pinged_at": 1_773_489_590.0, "trouble": "no agent is there"},
        "The ping to hc.example.org has stopped: no agent is there.",
    ),
]


@pytest.mark.parametrize(("note", "expected"), PINGS)
def test_the_page_says_how_the_ping_goes(make_app, seeded, now, note, expected):
    app = make_app(general__dead_man={"url": "https://hc.example.org/secret-5f2"})
    if note is not None:
        with seeded.transaction() as session:
            session.execute(
                insert(Duty).values(name="dead-man", term=1, due_at=now, note=note)
            )

    page = logged_in(app, seeded, now=now).get("/agents").text

    assert expected in " ".join(re.sub(r"<[^>]+>", " ", page).split()).replace(
        " .", "."
    )
    assert "secret-5f2" not in page


def test_without_a_ping_the_page_is_silent_about_it(admin):
    assert "The ping" not in admin.get("/agents").text


def test_a_location_without_an_agent_is_named(admin, seeded):
    assert "No agent is at" not in admin.get("/agents").text
    with seeded.transaction() as session:
        session.execute(update(Agent).where(Agent.name == "paris").values(location="p"))
        ids = list(session.scalars(select(Schedule.id).order_by(Schedule.id).limit(3)))
        for id_, location in zip(ids, ["p", "tokyo", "tokyo"], strict=True):
            session.execute(
                update(Schedule).where(Schedule.id == id_).values(location=location)
            )

    page = " ".join(admin.get("/agents").text.split())

    assert "No agent is at tokyo: 2 probes are not made from there." in page
    assert "No agent is at p:" not in page
