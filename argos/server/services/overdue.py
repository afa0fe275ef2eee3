"""Overdue work: task groups that agents could probe, and do not in time.

The rule is pure: what is remembered goes in, and what to remember comes out. Agents that
are alive may be too few, too slow or stuck; whatever the cause is, this is the symptom.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from argos.channels import NoticeKind
from argos.core.severity import Severity
from argos.language import SOURCE_LANGUAGE, Phrase, texts_in
from argos.server.database import Session
from argos.server.queries import agents, leases, soundness
from argos.server.services.agent_notice import tell_of_agents
from argos.server.services.lease import allowed_pools
from argos.server.services.notice import Draft
from argos.server.services.remembered import Remembered
from argos.server.services.silence import REMINDER_INTERVAL
from argos.server.services.upkeep import Work
from argos.server.services.wording import rough_duration

log = logging.getLogger(__name__)

LOOK_INTERVAL = timedelta(seconds=15)
PATIENCE = timedelta(seconds=60)
"""What is late for longer is overdue."""
TOLERATED = timedelta(minutes=5)
"""So long something has to be overdue, or nothing, before that is told."""


@dataclass(frozen=True, slots=True)
class Backlog(Remembered):
    """What is remembered of overdue work from one look to the next."""

    looked_at: datetime
    turned_at: datetime | None = None
    """Since when it is otherwise than was told; None: it is as was told."""
    told_since: datetime | None = None
    """Since when the work is overdue that was told of; None: all is done in time."""
    told_at: datetime | None = None
    """When that was told, or called to mind, last."""


def look(
    before: Backlog | None, *, now: datetime, is_overdue: bool | None
) -> tuple[Backlog, NoticeKind | None]:
    """Look whether work is overdue for too long; return what to remember, and to tell.

    `is_overdue` is None when no agent is there: that is told in another way.
    """
    backlog = _follow(before, now=now)
    is_told = backlog.told_since is not None
    if is_overdue is None:
        return replace(backlog, turned_at=None), None
    if is_overdue is is_told:
        return _remind(replace(backlog, turned_at=None), now=now)
    turned_at = backlog.turned_at or now
    if now - turned_at < TOLERATED:
        return replace(backlog, turned_at=turned_at), None
    if is_overdue:
        return Backlog(now, None, turned_at, now), NoticeKind.OVERDUE
    return Backlog(now), NoticeKind.IN_TIME


def _remind(backlog: Backlog, *, now: datetime) -> tuple[Backlog, NoticeKind | None]:
    if backlog.told_at is None or now - backlog.told_at < REMINDER_INTERVAL:
        return backlog, None
    return replace(backlog, told_at=now), NoticeKind.OVERDUE


def _follow(before: Backlog | None, *, now: datetime) -> Backlog:
    if before is None:
        return Backlog(now)
    gap = now - before.looked_at
    if timedelta() <= gap < TOLERATED:
        return replace(before, looked_at=now)
    # The server was away, or its clock was set: agents get the time to catch up.
    told_at = None if before.told_at is None else now
    return replace(before, looked_at=now, turned_at=None, told_at=told_at)


def served_pools(session: Session, *, now: datetime) -> Sequence[int]:
    """The queues that agents which were seen a moment ago may lease from."""
    live = agents.list_live_agents(session, seen_after=now - PATIENCE)
    return sorted({
        pool
        for each in live
        for pool in allowed_pools(each.capabilities, each.location)
    })


def watch_overdue(work: Work) -> None:
    """Tell when work is overdue that agents could do, and when it no longer is."""
    alerts = work.config.general.alerts
    with work.transaction() as session:
        # What none of the agents can probe is no sign that there are too few.
        pools = served_pools(session, now=work.now)
        due_at = leases.get_next_due_at(session, pools=pools)
        is_overdue = due_at is not None and due_at < work.now - PATIENCE
        before = Backlog.read(work.note)
        backlog, news = look(
            before, now=work.now, is_overdue=is_overdue if pools else None
        )
        work.note = backlog.write()
        if news is None:
            return
        if news is NoticeKind.OVERDUE:
            count = soundness.count_overdue(
                session, pools=pools, before=work.now - PATIENCE
            )
            notice = _overdue_notice(count, due_at or work.now, now=work.now)
        else:
            since = before and before.told_since
            notice = _in_time_notice(since or work.now, now=work.now)
        tell_of_agents(
            session, notice, recipients=alerts.of_overdue, config=work.config
        )
    log.log(
        logging.INFO if notice.severity is Severity.OK else logging.ERROR,
        "%s", texts_in(SOURCE_LANGUAGE).phrase(notice.title),
    )  # fmt: skip


def _overdue_notice(count: int, due_at: datetime, *, now: datetime) -> Draft:
    return Draft(
        kind=NoticeKind.OVERDUE,
        severity=Severity.WARNING,
        at=now,
        title=Phrase("Probes are overdue: the agents do not keep up"),
        lines=(
            (Phrase("Task groups overdue"), str(count)),
            (Phrase("The oldest is late by"), rough_duration(now - due_at)),
            (Phrase("It was due at"), due_at),
            (Phrase("Time"), now),
            (
                Phrase("What to do"),
                Phrase(
                    "start another agent, or give those that run more slots (--slots)"
                ),
            ),
        ),
    )


def _in_time_notice(since: datetime, *, now: datetime) -> Draft:
    return Draft(
        kind=NoticeKind.IN_TIME,
        severity=Severity.OK,
        at=now,
        title=Phrase("Probes are made in time again"),
        lines=(
            (Phrase("Were overdue since"), since),
            (Phrase("Time"), now),
        ),
    )
