"""Agents that are missed: none at all, or one of several."""

from datetime import timedelta

from sqlalchemy import select, update

from argos.channels import NoticeKind
from argos.language import texts_in
from argos.server.models import Agent, Delivery
from argos.server.services.missing_agents import watch_agents
from argos.server.services.notice import decode_notice
from argos.server.services.upkeep import Duty
from argos.server.services.wording import Wording
from tests.server.factories import add_group


def see(database, moment) -> None:
    with database.transaction() as session:
        if session.scalars(select(Agent)).first() is None:
            session.add(Agent(name="anna", created_at=moment))
            session.flush()
        session.execute(update(Agent).values(last_seen_at=moment))


def test_silence_is_told_once_with_a_recovery(keep, told, database, clock, make_loaded):
    config = make_loaded(general__alerts__no_agent=["local"]).config
    with database.transaction() as session:
        add_group(session, "a", due_at=clock.now)
    upkeep = keep(Duty("silence", timedelta(seconds=15), watch_agents), config=config)
    for minute in range(30):
        if minute < 3 or minute >= 20:
            see(database, clock.now)
        upkeep.do_due()
        clock.move(minutes=1)

    assert told() == [
        (NoticeKind.NO_AGENT, "local"),
        (NoticeKind.AGENT_BACK, "local"),
    ]
    with database.reading() as session:
        notice = session.scalars(select(Delivery.notice)).first()
    message, values = notice["title"]
    assert texts_in("en").say(message, **values) == (
        "No agent has been seen within the last 5 minutes"
    )
    lines = decode_notice(notice, message_id="m", wording=Wording()).lines
    assert lines[0] == ("No agent since", "2026-03-14 12:02:00 UTC")


def test_nobody_is_missed_while_there_is_nothing_to_watch(keep, told, database, clock):
    upkeep = keep(Duty("silence", timedelta(seconds=15), watch_agents))

    for _ in range(30):
        upkeep.do_due()
        clock.move(minutes=1)

    assert told() == []


def test_no_agent_alert_goes_to_each_named_recipient(
    keep, told, database, clock, make_loaded
):
    config = make_loaded(
        general__alerts__no_agent=["mail", "local"],
        general__mail={
            "mailfrom": "argos@argos.example",
            "addresses": ["a@argos.example", "b@argos.example"],
        },
        recurring_tasks__time_without_agent=1,
    ).config
    with database.transaction() as session:
        add_group(session, "a", due_at=clock.now)
    upkeep = keep(Duty("silence", timedelta(seconds=15), watch_agents), config=config)

    for _ in range(5):
        upkeep.do_due()
        clock.move(seconds=15)

    assert [recipient for _, recipient in told()] == [
        "mail:a@argos.example", "mail:b@argos.example", "local"
    ]  # fmt: skip
    with database.reading() as session:
        notice = session.scalars(select(Delivery.notice)).first()
    assert notice["title"][0] == "No agent has been seen within the last minute"


# -- one of several


def see_each(database, **moments) -> None:
    with database.transaction() as session:
        for name, moment in moments.items():
            agent = session.scalars(select(Agent).where(Agent.name == name)).first()
            if agent is None:
                agent = Agent(name=name, created_at=moment)
                session.add(agent)
            agent.last_seen_at = moment


def test_one_agent_that_is_gone_is_told_reminded_of_hourly_and_told_when_back(
    keep, told, database, clock, make_loaded
):
    config = make_loaded(
        general__alerts__no_agent=["local"], recurring_tasks__time_without_agent=5
    ).config
    with database.transaction() as session:
        add_group(session, "a", due_at=clock.now)
    upkeep = keep(Duty("silence", timedelta(seconds=15), watch_agents), config=config)

    for minute in range(150):
        see_each(database, anna=clock.now)
        if minute < 10 or minute >= 140:
            see_each(database, bert=clock.now)
        upkeep.do_due()
        clock.move(minutes=1)

    assert told() == [
        (NoticeKind.AGENT_GONE, "local"),
        (NoticeKind.AGENT_GONE, "local"),
        (NoticeKind.AGENT_GONE, "local"),
        (NoticeKind.AGENT_RETURNED, "local"),
    ]
    with database.reading() as session:
        notice = session.scalars(select(Delivery.notice)).first()
    assert notice["title"] == ["Agent {agent} is gone", {"agent": "bert"}]


def test_recipients_of_one_agent_that_is_gone_may_be_others_or_nobody(
    keep, told, database, clock, make_loaded
):
    config = make_loaded(
        general__alerts__no_agent=["local"],
        general__alerts__agent_gone=[],
        recurring_tasks__time_without_agent=5,
    ).config
    with database.transaction() as session:
        add_group(session, "a", due_at=clock.now)
    upkeep = keep(Duty("silence", timedelta(seconds=15), watch_agents), config=config)
    see_each(database, bert=clock.now)

    for _ in range(20):
        see_each(database, anna=clock.now)
        upkeep.do_due()
        clock.move(minutes=1)

    assert told() == []


def test_of_a_suspect_agent_that_is_revoked_nothing_more_is_expected(
    keep, told, database, clock
):
    with database.transaction() as session:
        for name, revoked_at in (("anna", clock.now), ("bert", None)):
            session.add(
                Agent(
                    name=name,
                    created_at=clock.now,
                    last_seen_at=clock.now,
                    suspect_since=clock.now,
                    suspect_reason="It reached none of its references.",
                    revoked_at=revoked_at,
                )
            )
    upkeep = keep(Duty("silence", timedelta(), watch_agents))

    for _ in "12":
        upkeep.do_due()

    assert told() == [(NoticeKind.AGENT_TRUSTED, "local")]
    with database.reading() as session:
        notice = session.scalars(select(Delivery.notice)).one()
        suspects = session.scalars(
            select(Agent.name).where(Agent.suspect_since.is_not(None))
        ).all()
    first = decode_notice(notice, message_id="m", wording=Wording())
    assert first.title == "Agent anna, which seemed to be cut off, was revoked"
    assert suspects == ["bert"]
