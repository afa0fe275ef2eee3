"""Say that somebody takes care of an incident, and write on it."""

import logging
from dataclasses import dataclass
from datetime import timedelta

from argos.clock import Clock
from argos.core.text import cut, visible
from argos.server.database import Database
from argos.server.queries import knowing
from argos.server.queries.knowing import Acknowledgement

log = logging.getLogger(__name__)

MAX_COMMENT_LENGTH = 4_000
MAX_AUTHOR_LENGTH = 200
WITHDRAWN = "Nobody takes care of it any more."


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody says of an incident."""

    author: str
    text: str = ""

    @property
    def shown(self) -> tuple[str, str]:
        """Author and text as they are kept: visible, and not too long."""
        lines = [visible(line) for line in self.text.strip().splitlines()]
        return (
            cut(visible(self.author), MAX_AUTHOR_LENGTH),
            cut("\n".join(lines), MAX_COMMENT_LENGTH),
        )


def acknowledge(
    database: Database,
    clock: Clock,
    *,
    incident_id: int,
    word: Word,
    lasting: timedelta | None = None,
) -> int | None:
    """Take care of all that an incident speaks for; how many of it are open.

    None when there is no such incident. `lasting` None: until it ends.
    """
    now = clock.utcnow()
    author, text = word.shown
    with database.transaction() as session:
        leader = knowing.get_leader_id(session, incident_id=incident_id)
        if leader is None:
            return None
        count = knowing.acknowledge(
            session,
            leader=leader,
            acknowledgement=Acknowledgement(
                by=author, at=now, until=None if lasting is None else now + lasting
            ),
        )
        if text and count:
            knowing.add_comment(
                session, incident_id=incident_id, author=author, text=text, now=now
            )
    log.info("%s takes care of incident %d", author, incident_id)
    return count


def withdraw(
    database: Database, clock: Clock, *, incident_id: int, word: Word
) -> int | None:
    """Take it back that somebody takes care of what an incident speaks for.

    Of how many open incidents; None when there is no such one. That it was taken back
    stands among the comments, and people are reminded of the problem again.
    """
    author, text = word.shown
    with database.transaction() as session:
        leader = knowing.get_leader_id(session, incident_id=incident_id)
        if leader is None:
            return None
        count = knowing.withdraw(session, leader=leader)
        if count:
            knowing.add_comment(
                session,
                incident_id=incident_id,
                author=author,
                text=f"{WITHDRAWN} {text}".strip(),
                now=clock.utcnow(),
            )
    if count:
        log.info("%s: nobody takes care of incident %d", author, incident_id)
    return count


def comment(database: Database, clock: Clock, *, incident_id: int, word: Word) -> bool:
    """Write on an incident; False when there is no such one."""
    author, text = word.shown
    with database.transaction() as session:
        if knowing.get_leader_id(session, incident_id=incident_id) is None:
            return False
        knowing.add_comment(
            session,
            incident_id=incident_id,
            author=author,
            text=text,
            now=clock.utcnow(),
        )
    return True
