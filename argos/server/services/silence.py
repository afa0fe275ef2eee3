"""When nobody has heard of an agent for too long: one notice, reminders, one recovery.

The rule is pure: what is remembered goes in, and what to remember comes out.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from argos.channels import NoticeKind
from argos.server.services.remembered import Remembered

REMINDER_INTERVAL = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Silence(Remembered):
    """What is remembered of the agents' silence from one look to the next."""

    looked_at: datetime
    watched_since: datetime
    """Since when somebody looks without a gap: before, agents had nobody to call."""
    told_since: datetime | None = None
    """Since when the silence lasts that was told; None: none was."""
    told_at: datetime | None = None
    """When it was told, or called to mind, last."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found."""

    silence: Silence
    news: NoticeKind | None
    """What to tell, if anything."""
    silent_since: datetime


def look(
    before: Silence | None,
    *,
    now: datetime,
    last_seen_at: datetime | None,
    tolerated: timedelta,
) -> Finding:
    """Look whether agents were silent for longer than is tolerated.

    Silence counts from when an agent was seen last, but not from before somebody
    watched: after the server itself was away, agents get the time to come back.
    """
    silence = _watch(before, now=now, tolerated=tolerated)
    since = max(last_seen_at or silence.watched_since, silence.watched_since)
    if (
        silence.told_since is not None
        and last_seen_at is not None
        and last_seen_at > silence.told_since
    ):
        told = replace(silence, told_since=None, told_at=None)
        return Finding(told, NoticeKind.AGENT_BACK, silence.told_since)
    if silence.told_since is None:
        if now - since < tolerated:
            return Finding(silence, None, since)
        told = replace(silence, told_since=last_seen_at or since, told_at=now)
        return Finding(told, NoticeKind.NO_AGENT, told.told_since or since)
    is_due = silence.told_at is None or now - silence.told_at >= REMINDER_INTERVAL
    if is_due:
        silence = replace(silence, told_at=now)
    news = NoticeKind.NO_AGENT if is_due else None
    return Finding(silence, news, silence.told_since or since)


def _watch(before: Silence | None, *, now: datetime, tolerated: timedelta) -> Silence:
    if before is None:
        return Silence(looked_at=now, watched_since=now)
    gap = now - before.looked_at
    if gap >= tolerated or gap < timedelta():
        # The server was away, or its clock was set: start to watch anew.
        told_at = None if before.told_at is None else now
        return replace(before, looked_at=now, watched_since=now, told_at=told_at)
    return replace(before, looked_at=now)
