"""When one agent of several is gone: one notice, reminders, one recovery. Pure.

That none is left at all is another matter (`silence`), and told in one notice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from argos.channels import NoticeKind
from argos.server.columns import from_epoch_us, to_epoch_us
from argos.server.services.silence import REMINDER_INTERVAL

QUIET_AFTER = timedelta(days=1)
"""Nobody is reminded any more of who is gone for so long, nor told of them anew."""


@dataclass(frozen=True, slots=True)
class Absence:
    """That an agent is gone, and that this was told."""

    since: datetime
    """When it was seen last."""
    told_at: datetime
    """When it was told, or called to mind, last."""

    @classmethod
    def read(cls, note: Sequence[int]) -> Self:
        """What `write` wrote."""
        since, told_at = note
        return cls(from_epoch_us(since), from_epoch_us(told_at))

    def write(self) -> list[int]:
        """As JSON-ready numbers."""
        return [to_epoch_us(self.since), to_epoch_us(self.told_at)]


@dataclass(frozen=True, slots=True)
class News:
    """What to tell of one agent."""

    agent: str
    kind: NoticeKind
    since: datetime
    """Since when it is gone, or was."""
    is_dismissed: bool = False
    """It was revoked: nobody waits for its return any more."""


def read_absences(note: Mapping[str, Any]) -> dict[str, Absence]:
    """What is remembered, by the agent's name."""
    return {name: Absence.read(moments) for name, moments in note.items()}


def look_for_absent(
    before: Mapping[str, Absence],
    *,
    seen: Mapping[str, datetime],
    now: datetime,
    watched_since: datetime,
    tolerated: timedelta,
) -> tuple[dict[str, Absence], list[News]]:
    """Look which agents are gone; return what to remember, and what to tell.

    `seen` says when each agent was seen last. Absence counts from `watched_since` at the
    earliest: when the server itself was away, nobody could be seen.
    """
    if not any(now - moment < tolerated for moment in seen.values()):
        return dict(before), []
    after: dict[str, Absence] = {}
    news = [
        News(agent, NoticeKind.AGENT_RETURNED, absence.since, is_dismissed=True)
        for agent, absence in sorted(before.items())
        if agent not in seen
    ]
    for agent, moment in sorted(seen.items()):
        absence = before.get(agent)
        if now - moment < tolerated:
            if absence is not None:
                news.append(News(agent, NoticeKind.AGENT_RETURNED, absence.since))
            continue
        is_calm = now - moment >= QUIET_AFTER or now - watched_since < tolerated
        is_due = absence is None or now - absence.told_at >= REMINDER_INTERVAL
        if is_due and not is_calm:
            news.append(News(agent, NoticeKind.AGENT_GONE, moment))
            absence = Absence(moment, now)
        if absence is not None:
            # However long it takes: who was told of it is told of the return.
            after[agent] = absence
    return after, news
