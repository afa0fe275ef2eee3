"""Who of several agents is gone, as a pure rule."""

from datetime import UTC, datetime, timedelta

from argos.channels import NoticeKind
from argos.server.services.absence import (
    Absence,
    look_for_absent,
    read_absences,
)

START = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def look(before=None, *, now, watched_since=START, **seen):
    return look_for_absent(
        before or {},
        seen=seen,
        now=now,
        watched_since=watched_since,
        tolerated=5 * MINUTE,
    )


def kinds(news):
    return [(each.agent, each.kind) for each in news]


def test_who_was_seen_lately_is_not_missed():
    now = START + 10 * MINUTE

    assert look(now=now, anna=now, bert=now - 4 * MINUTE) == ({}, [])


def test_where_all_are_gone_another_notice_tells_it():
    now = START + 10 * MINUTE
    known = {"bert": Absence(START, START + 6 * MINUTE)}

    assert look(known, now=now, anna=START, bert=START) == (known, [])


def test_an_agent_that_was_told_of_and_revoked_is_waited_for_no_longer():
    now = START + 10 * MINUTE
    known = {"bert": Absence(START, START + 6 * MINUTE)}

    after, news = look(known, now=now, anna=now)

    assert after == {}
    assert kinds(news) == [("bert", NoticeKind.AGENT_RETURNED)]
    assert news[0].is_dismissed


def test_a_server_that_was_away_gives_agents_time_to_come_back():
    now = START + 60 * MINUTE

    after, news = look(
        now=now, watched_since=now - MINUTE, anna=now, bert=START + MINUTE
    )

    assert (after, news) == ({}, [])


def test_who_is_gone_for_a_day_is_called_to_mind_no_more_but_its_return_is_told():
    known = {"bert": Absence(START, START + 23 * 60 * MINUTE)}
    now = START + timedelta(days=3)

    assert look(known, now=now, anna=now, bert=START) == (known, [])
    after, news = look(known, now=now, anna=now, bert=now)
    assert after == {}
    assert kinds(news) == [("bert", NoticeKind.AGENT_RETURNED)]


def test_who_was_gone_for_long_before_anybody_looked_is_not_told():
    now = START + timedelta(days=3)

    assert look(now=now, anna=now, bert=START) == ({}, [])


def test_reminders_come_once_an_hour():
    now = START + 10 * MINUTE
    after, news = look(now=now, anna=now, bert=START)
    assert kinds(news) == [("bert", NoticeKind.AGENT_GONE)]

    soon = now + 59 * MINUTE
    assert look(after, now=soon, anna=soon, bert=START)[1] == []

    later = now + 60 * MINUTE
    _, news = look(after, now=later, anna=later, bert=START)
    assert kinds(news) == [("bert", NoticeKind.AGENT_GONE)]
    assert news[0].since == START


def test_what_is_remembered_is_read_as_it_was_written():
    absence = Absence(START, START + MINUTE)

    assert read_absences({"bert": absence.write()}) == {"bert": absence}
