"""Watching the agents: the notices when none is left, and when one is gone."""

import logging
from datetime import datetime, timedelta

from argos.channels import NoticeKind
from argos.core.severity import Severity
from argos.language import SOURCE_LANGUAGE, Phrase, mark, texts_in
from argos.server.queries import agents as queries, counters
from argos.server.services.absence import News, look_for_absent, read_absences
from argos.server.services.agent_notice import tell_of_agents
from argos.server.services.agent_watch import clear_revoked
from argos.server.services.notice import Draft
from argos.server.services.silence import Finding, Silence, look
from argos.server.services.upkeep import Work

log = logging.getLogger(__name__)

ABSENT = "absent"
"""Under this key of the duty's note stands who is gone."""


def watch_agents(work: Work) -> None:
    """Tell when no agent has been seen for too long, or one has not; and of returns.

    And that those were revoked which were told to be suspect.
    """
    with work.transaction() as session:
        clear_revoked(session, config=work.config, now=work.now)
        if not counters.has_active_tasks(session):
            # There is nothing to watch, so nobody is missed; what was told stays known.
            return
        alerts = work.config.general.alerts
        minutes = work.config.recurring_tasks.time_without_agent
        tolerated = timedelta(minutes=minutes)
        seen = queries.list_last_seen(session)
        finding = look(
            Silence.read(work.note),
            now=work.now,
            last_seen_at=max(seen.values(), default=None),
            tolerated=tolerated,
        )
        absent, news = look_for_absent(
            read_absences((work.note or {}).get(ABSENT, {})),
            seen=seen,
            now=work.now,
            watched_since=finding.silence.watched_since,
            tolerated=tolerated,
        )
        work.note = finding.silence.write() | {
            ABSENT: {name: absence.write() for name, absence in absent.items()}
        }
        notices = [(_absence_notice(each, now=work.now), each.agent) for each in news]
        for notice, agent in notices:
            tell_of_agents(
                session,
                notice,
                recipients=alerts.of_agent_gone,
                config=work.config,
                agent=agent,
            )
        if finding.news is not None:
            notice = _silence_notice(
                finding, finding.news, minutes=minutes, now=work.now
            )
            notices.append((notice, ""))
            tell_of_agents(
                session, notice, recipients=alerts.no_agent, config=work.config
            )
    for notice, _ in notices:
        log.log(
            logging.INFO if notice.severity is Severity.OK else logging.ERROR,
            "%s", texts_in(SOURCE_LANGUAGE).phrase(notice.title),
        )  # fmt: skip


def _absence_notice(news: News, *, now: datetime) -> Draft:
    is_gone = news.kind is NoticeKind.AGENT_GONE
    words = mark("Agent {agent} is gone") if is_gone else mark("Agent {agent} is back")
    if news.is_dismissed:
        words = mark("Agent {agent} is waited for no longer")
    since = Phrase("Gone since") if is_gone else Phrase("Was gone since")
    return Draft(
        kind=news.kind,
        severity=Severity.WARNING if is_gone else Severity.OK,
        at=now,
        title=Phrase(words, {"agent": news.agent}),
        lines=(
            (Phrase("Agent"), news.agent),
            (since, news.since),
            (Phrase("Time"), now),
        ),
    )


def _silence_notice(
    finding: Finding, news: NoticeKind, *, minutes: int, now: datetime
) -> Draft:
    lines = (
        (Phrase("No agent since"), finding.silent_since),
        (Phrase("Time"), now),
    )
    if news is NoticeKind.AGENT_BACK:
        title = Phrase("Agents are at work again")
        return Draft(kind=news, severity=Severity.OK, at=now, title=title, lines=lines)
    # The words of 0.10.3.
    words = (
        mark("No agent has been seen within the last minute")
        if minutes == 1
        else mark("No agent has been seen within the last {minutes} minutes")
    )
    title = Phrase(words, {"minutes": minutes})
    return Draft(
        kind=news, severity=Severity.CRITICAL, at=now, title=title, lines=lines
    )
