"""Since when somebody watches without a gap.

While no server runs, or none reaches the database, everything becomes overdue. That says
nothing of agents and locations: they get the time to call again.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from argos.server.database import Session
from argos.server.queries import duties
from argos.server.services.remembered import Remembered

DUTY = "unanswered"
"""The duty that remembers it."""
GAP = timedelta(minutes=1)
"""When nobody looked for longer, the watching begins anew."""


@dataclass(frozen=True, slots=True)
class Presence(Remembered):
    """When somebody looked last, and since when that goes on without a gap."""

    looked_at: datetime
    watched_since: datetime


def look(before: Presence | None, *, now: datetime) -> Presence:
    """What to remember of a look. A clock that was set back is a gap, too."""
    if before is None or not timedelta() <= now - before.looked_at <= GAP:
        return Presence(looked_at=now, watched_since=now)
    return replace(before, looked_at=now)


def read_watched_since(session: Session, *, now: datetime) -> datetime:
    """Since when there is always somebody who watches."""
    note = duties.get_note(session, name=DUTY)
    return look(Presence.read(note), now=now).watched_since
