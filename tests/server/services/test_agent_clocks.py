"""Agents whose clocks are off (I-17): a pure rule, and its notices."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from argos.channels import NoticeKind
from argos.server.models import Agent, Delivery
from argos.server.services import agent_clocks
from argos.server.services.agent_clocks import look, read_offset, read_states
from argos.server.services.notice import decode_notice
from argos.server.services.upkeep import Duty
from argos.server.services.wording import Wording

START = datetime(2026, 3, 14, 12, tzinfo=UTC)
WRONG, RIGHT = NoticeKind.CLOCK_WRONG, NoticeKind.CLOCK_RIGHT


def watch(offsets):
    """What is told of a clock that is off by so many seconds; a look each half minute."""
    note, told = None, []
    for place, offset_s in enumerate(offsets):
        offsets = {} if offset_s is None else {"anna": timedelta(seconds=offset_s)}
        states, news = look(
            read_states(note),
            offsets=offsets,
            watched={"anna"},
            now=START + place * timedelta(seconds=30),
        )
        note = {name: state.write() for name, state in states.items()}
        told += [(place, each.kind) for each in news]
    return told, note


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        pytest.param([0, 3, -3] * 9, [], id="right"),
        pytest.param([60, -60] * 9, [], id="not wrong enough"),
        pytest.param([0, -90, 0, 0, 90] * 9, [], id="a call was held up"),
        pytest.param([90] * 500, [(2, WRONG)], id="told once"),
        pytest.param([-4e9] * 9, [(2, WRONG)], id="from 1970"),
        pytest.param([90] * 9 + [31] * 9, [(2, WRONG)], id="not right yet"),
        pytest.param([90] * 9 + [0, 0, 90] * 9, [(2, WRONG)], id="right for a moment"),
        pytest.param([90] * 9 + [2] * 9, [(2, WRONG), (11, RIGHT)], id="recovery"),
        pytest.param([90] * 9 + [None] * 99, [(2, WRONG)], id="gone meanwhile"),
    ],
)
def test_what_is_told_of_a_clock(offsets, expected):
    assert watch(offsets)[0] == expected


def test_nothing_is_remembered_of_clocks_that_are_right():
    assert watch([0] * 3)[1] == {}
    assert watch([90] * 9 + [0] * 9)[1] == {}


def test_a_server_clock_that_was_set_back_starts_anew():
    hour = timedelta(hours=1)
    states, _ = look({}, offsets={"anna": hour}, watched={"anna"}, now=START)

    states, news = look(
        states, offsets={"anna": 2 * hour}, watched={"anna"}, now=START - hour
    )

    assert news == []
    assert states["anna"].turned_at == START - hour


@pytest.mark.parametrize("seconds", [1e300, -1e300, 4e11])
def test_an_agent_may_say_anything(seconds):
    assert abs(read_offset(seconds)) > timedelta(days=300_000)


@pytest.fixture
def live(keep, database, clock, make_loaded):
    """Lets time pass while the agent calls with a clock that is off."""

    def live(minutes: int, *, offset_s: float, **settings) -> None:
        config = make_loaded(**settings).config
        duty = Duty("clocks", agent_clocks.LOOK_INTERVAL, agent_clocks.watch_clocks)
        upkeep = keep(duty, config=config)
        for _ in range(minutes):
            with database.transaction() as session:
                session.execute(
                    update(Agent).values(
                        last_seen_at=clock.now, clock_offset_s=offset_s
                    )
                )
            upkeep.do_due()
            clock.move(minutes=1)

    with database.transaction() as session:
        session.add(Agent(name="anna", created_at=clock.now))
    return live


@pytest.mark.parametrize(
    ("offset_s", "title", "line"),
    [
        (125.0, "The clock of agent anna is ahead", ("Ahead by", "2 min")),
        (-7_300.0, "The clock of agent anna is behind", ("Behind by", "2 h")),
    ],
)
def test_i17_a_wrong_clock_is_told_once_with_a_recovery(
    live, told, database, offset_s, title, line
):
    live(150, offset_s=offset_s)
    live(10, offset_s=1.0)

    assert told() == [(WRONG, "local"), (RIGHT, "local")]
    with database.reading() as session:
        notices = list(session.scalars(select(Delivery.notice).order_by(Delivery.id)))
    first = decode_notice(notices[0], message_id="m", wording=Wording())
    assert first.title == title
    assert line in first.lines
    assert dict(first.lines)["Until then"].startswith("its results are right")
    last = decode_notice(notices[1], message_id="m", wording=Wording("fr"))
    assert "agent anna est de nouveau" in last.title


def test_nobody_may_be_told(live, told):
    live(10, offset_s=500.0, general__alerts__agent_clock=[])

    assert told() == []


def test_of_an_agent_that_is_revoked_nothing_more_is_expected(
    live, told, database, now
):
    live(10, offset_s=500.0)
    with database.transaction() as session:
        session.execute(update(Agent).values(revoked_at=now))
    live(10, offset_s=500.0)

    assert told() == [(WRONG, "local"), (RIGHT, "local")]
    with database.reading() as session:
        notice = session.scalars(select(Delivery.notice).order_by(Delivery.id)).all()[1]
    last = decode_notice(notice, message_id="m", wording=Wording())
    assert last.title == "Agent anna, whose clock was off, was revoked"


def test_of_a_clock_that_was_off_for_a_moment_nothing_is_told_when_it_is_revoked():
    offsets = {"anna": timedelta(hours=1)}
    states, _ = look({}, offsets=offsets, watched={"anna"}, now=START)

    assert look(states, offsets={}, watched=(), now=START) == ({}, [])
