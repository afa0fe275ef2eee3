"""Work that is overdue though agents are there (I-39): a pure rule, and its notices."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import select, update

from argos.channels import NoticeKind
from argos.language import texts_in
from argos.server.identity import Pool
from argos.server.models import Agent, Delivery, Schedule
from argos.server.services import overdue
from argos.server.services.notice import decode_notice
from argos.server.services.overdue import Backlog, look
from argos.server.services.upkeep import Duty
from argos.server.services.wording import Wording, rough_duration
from tests.server.factories import add_group, add_groups

START = datetime(2026, 3, 14, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def watch(looks):
    """What is told, minute by minute, of looks: each is late or not, or there is none."""
    note, told = None, []
    for minute, is_overdue in enumerate(looks):
        now = START + minute * MINUTE
        backlog, news = look(Backlog.read(note), now=now, is_overdue=is_overdue)
        note = backlog.write()
        if news is not None:
            told.append((minute, news))
    return told


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        pytest.param([False] * 100, [], id="in time"),
        pytest.param([True] * 5 + [False], [], id="late for a while"),
        pytest.param([True, True, False, True] * 10, [], id="late now and then"),
        pytest.param([True] * 60, [(5, "overdue")], id="late for long"),
        pytest.param(
            [True] * 130,
            [(5, "overdue"), (65, "overdue"), (125, "overdue")],
            id="reminded hourly",
        ),
        pytest.param(
            [True] * 10 + [False] * 4 + [True] + [False] * 60,
            [(5, "overdue"), (20, "in-time")],
            id="one recovery",
        ),
        pytest.param([True] * 3 + [None] * 5 + [True] * 5, [], id="no agent"),
        pytest.param(
            [True] * 10 + [None] * 30, [(5, "overdue")], id="no agent any more"
        ),
    ],
)
def test_what_is_told_of_late_work(looks, expected):
    assert watch(looks) == expected


def test_a_server_that_was_away_gives_agents_time_to_catch_up():
    before = Backlog(START, turned_at=START - 4 * MINUTE)
    now = START + 30 * MINUTE

    assert look(before, now=now, is_overdue=True) == (Backlog(now, now), None)


def test_a_clock_that_was_set_brings_no_reminder():
    told = Backlog(START, None, START - 60 * MINUTE, START - 9 * MINUTE)
    now = START + timedelta(days=400)

    backlog, news = look(told, now=now, is_overdue=True)

    assert news is None
    assert (backlog.told_since, backlog.told_at) == (told.told_since, now)


@given(st.lists(st.sampled_from([True, False, None]), max_size=300))
def test_news_alternate_and_leave_each_other_time(looks):
    told = watch(looks)

    changes = [news for place, (_, news) in enumerate(told) if news != told[place - 1]]
    assert told[:1] == [] or told[0][1] == NoticeKind.OVERDUE
    assert all(one != other for one, other in pairwise(changes))
    for (sooner, before), (later, after) in pairwise(told):
        assert later - sooner >= (60 if before == after else 5)


# -- its notices


@pytest.fixture
def live(keep, database, clock, make_loaded):
    """Lets time pass while an agent calls, and does its work in time or not."""

    def live(minutes: int, *, is_in_time: bool = False, **settings) -> None:
        config = make_loaded(**settings).config
        duty = Duty("overdue", overdue.LOOK_INTERVAL, overdue.watch_overdue)
        upkeep = keep(duty, config=config)
        for _ in range(minutes):
            with database.transaction() as session:
                session.execute(update(Agent).values(last_seen_at=clock.now))
                if is_in_time:
                    session.execute(update(Schedule).values(due_at=clock.now + MINUTE))
            upkeep.do_due()
            clock.move(minutes=1)

    with database.transaction() as session:
        session.add(Agent(name="anna", created_at=clock.now))
    return live


def test_late_work_is_told_reminded_of_hourly_and_told_when_over(
    live, told, database, clock
):
    with database.transaction() as session:
        add_groups(session, 3, due_at=clock.now)

    live(100)
    live(20, is_in_time=True)

    assert told() == [
        (NoticeKind.OVERDUE, "local"),
        (NoticeKind.OVERDUE, "local"),
        (NoticeKind.IN_TIME, "local"),
    ]
    with database.reading() as session:
        notices = list(session.scalars(select(Delivery.notice).order_by(Delivery.id)))
    first = decode_notice(notices[0], message_id="m", wording=Wording())
    assert first.title == "Probes are overdue: the agents do not keep up"
    assert dict(first.lines) == {
        "Task groups overdue": "3",
        "The oldest is late by": "6 min",
        "It was due at": "2026-03-14 11:59:58 UTC",
        "Time": "2026-03-14 12:06:00 UTC",
        "What to do": "start another agent, or give those that run more slots (--slots)",
    }
    last = decode_notice(notices[2], message_id="m", wording=Wording("fr"))
    assert last.title.startswith("Les sondes sont de nouveau")
    assert dict(last.lines)["Étaient en retard depuis"] == "2026-03-14 12:01:00 UTC"


def test_what_no_agent_can_probe_is_not_overdue(live, told, database, clock):
    with database.transaction() as session:
        add_group(session, "a", due_at=clock.now, pool=Pool.NEW_CHECKS)

    live(30)

    assert told() == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, ["local"], id="those of no_agent"),
        pytest.param({"general__alerts__overdue": []}, [], id="nobody"),
        pytest.param(
            {
                "general__alerts__overdue": ["mail"],
                "general__mail": {
                    "mailfrom": "argos@argos.example",
                    "addresses": ["a@argos.example"],
                },
            },
            ["mail:a@argos.example"],
            id="others",
        ),
    ],
)
def test_who_hears_of_it(live, told, database, clock, settings, expected):
    with database.transaction() as session:
        add_group(session, "a", due_at=clock.now)

    live(10, **settings)

    assert [recipient for _, recipient in told()] == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 d")],
)
def test_rough_durations(seconds, expected):
    phrase = rough_duration(timedelta(seconds=seconds))

    assert texts_in("en").phrase(phrase) == expected
