"""Keep notices back while something is silent, and tell afterwards what still holds.

Events are stored as ever. Of what is kept back only the newest can still be news: a
problem that ends before anybody heard of it is not told at all.

What is gathered under an incident that people know of is kept back in the same way, for
as long as that one is open.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from argos.core.cause import hold_interval
from argos.core.incident import EventKind
from argos.core.severity import Severity
from argos.schemas import Config
from argos.server.database import Session
from argos.server.queries import held as queries, silences
from argos.server.queries.deliveries import NewDelivery
from argos.server.queries.duties import SET_BACK
from argos.server.queries.held import HeldDelivery, Hold
from argos.server.services import peace
from argos.server.services.peace import Peace
from argos.server.services.upkeep import Work

log = logging.getLogger(__name__)

LOOK_AGAIN = timedelta(seconds=20)
"""So soon it is noticed that a silence was ended by hand, or left the config."""
CHUNK_ROWS = 2_000
BY_SPEAKER = "the incident that speaks for it"
_BEGINNINGS = {EventKind.OPENED, EventKind.FLAPPING}


@dataclass(frozen=True, slots=True)
class Planned:
    """A notice that is to be sent, if nothing is silent."""

    delivery: NewDelivery
    incident_id: int
    task_id: int
    kind: EventKind
    severity: Severity
    """How bad the incident is: a recovery waits as long as its problem."""


def drop_outdated(
    session: Session, *, incident_ids: Sequence[int], now: datetime
) -> dict[int, set[str]]:
    """Drop what was kept back of incidents of which there is news.

    Returns who would have heard of it, by incident.
    """
    found = queries.lock_held_of(session, incident_ids=incident_ids)
    queries.drop_held(session, ids=[one.id for one in found], now=now)
    unheard: dict[int, set[str]] = defaultdict(set)
    for one in found:
        unheard[one.incident_id].add(one.recipient)
    return unheard


def is_news(
    planned: Planned, unheard: dict[int, set[str]], told: dict[int, list[str]]
) -> bool:
    """Whether a recovery says anything: who never heard of the problem need not."""
    if planned.kind is not EventKind.CLOSED or planned.incident_id not in unheard:
        return True
    heard = told.get(planned.incident_id, [])
    recipient = planned.delivery.recipient
    return recipient in heard or (
        bool(heard) and recipient not in unheard[planned.incident_id]
    )


def keep_back(
    session: Session, planned: Sequence[Planned], *, config: Config, now: datetime
) -> list[NewDelivery]:
    """The deliveries, those marked that have to wait for the end of a silence."""
    if not planned:
        return []
    now_quiet = peace.look(session, config=config, now=now)
    holds = _Holds(session, now_quiet, [one.task_id for one in planned], now)
    deliveries = []
    for one in planned:
        hold = holds.of(one.task_id, one.severity)
        deliveries.append(
            one.delivery
            if hold is None
            else one.delivery._replace(held_until=hold[0], held_by=hold[1])
        )
    return deliveries


def leave_to_speakers(
    planned: Sequence[Planned],
    deliveries: Sequence[NewDelivery],
    *,
    silent: Collection[int],
    unheard: Mapping[int, set[str]],
    now: datetime,
) -> list[NewDelivery]:
    """Mark what incidents of others may speak for; `let_go` looks whether they do.

    Those are the `silent` incidents, as long as nobody heard of them.
    """
    return [
        delivery._replace(held_until=now, held_by=BY_SPEAKER)
        if delivery.held_until is None
        and one.incident_id in silent
        and (
            one.kind in _BEGINNINGS
            or (
                one.kind is not EventKind.CLOSED
                and delivery.recipient in unheard.get(one.incident_id, ())
            )
        )
        else delivery
        for one, delivery in zip(planned, deliveries, strict=True)
    ]


def let_go(work: Work) -> None:
    """Tell what nothing keeps back any more."""
    with work.database.reading() as session:
        if not queries.has_held_over(session, now=work.now):
            return
    with work.transaction() as session:
        found = queries.list_held_over(session, now=work.now, count=CHUNK_ROWS)
        if not found:
            return
        now_quiet = peace.look(session, config=work.config, now=work.now)
        holds = _Holds(session, now_quiet, [one.task_id for one in found], work.now)
        free, kept = _sort(found, holds, _Speakers(session, found, work.now))
        queries.let_go(session, ids=free, now=work.now)
        queries.hold_on(session, holds=kept)
    if free:
        log.info("%s notices are kept back no longer.", len(free))
    work.wants_more = len(found) == CHUNK_ROWS


def _sort(
    found: Sequence[HeldDelivery], holds: "_Holds", speakers: "_Speakers"
) -> tuple[list[int], list[Hold]]:
    free: list[int] = []
    kept: list[Hold] = []
    for one in found:
        hold = holds.of(one.task_id, one.severity) or speakers.of(one)
        if hold is None:
            free.append(one.id)
        else:
            kept.append(Hold(one.id, *hold))
    return free, kept


class _Holds:
    """What keeps notices of some tasks back, and when to look again."""

    def __init__(
        self, session: Session, now_quiet: Peace, task_ids: Sequence[int], now: datetime
    ) -> None:
        self._peace = now_quiet
        self._now = now
        is_silent = bool(now_quiet.rules or now_quiet.quiet_until)
        self._subjects = (
            silences.list_subjects(session, task_ids=set(task_ids)) if is_silent else {}
        )

    def of(self, task_id: int, severity: Severity) -> tuple[datetime, str] | None:
        subject = self._subjects.get(task_id)
        rule = subject and self._peace.hold(subject, severity)
        if not rule:
            return None
        return min(rule.until, self._now + LOOK_AGAIN), rule.label


class _Speakers:
    """The incidents that speak for others, and who has heard of them."""

    def __init__(
        self, session: Session, found: Sequence[HeldDelivery], now: datetime
    ) -> None:
        self._now = now
        ids = {one.incident_id for one in found}
        self._speakers = queries.list_speakers(session, incident_ids=ids)
        self._hearers = queries.list_hearers(
            session,
            incident_ids=set(self._speakers)
            | {speaker.id for speaker in self._speakers.values()},
        )

    def of(self, one: HeldDelivery) -> tuple[datetime, str] | None:
        """What spares somebody a notice; None: nothing does.

        Who heard of the one that speaks, and that it is no less bad, need not hear of
        the other one: as long as it is open, and until the other one was looked at again.
        """
        speaker = self._speakers.get(one.incident_id)
        if speaker is None or self._has_heard(one.recipient, one.incident_id):
            return None
        is_worse = one.severity.urgency > speaker.severity.urgency
        if is_worse or not self._has_heard(one.recipient, speaker.id):
            return None
        if speaker.closed_at is None:
            return self._now + LOOK_AGAIN, BY_SPEAKER
        if speaker.closed_at > self._now + SET_BACK:
            return None  # that was before a clock was set back, and long ago
        period = timedelta(minutes=speaker.frequency)
        until = speaker.closed_at + hold_interval(period)
        return (until, BY_SPEAKER) if until > self._now else None

    def _has_heard(self, recipient: str, incident_id: int) -> bool:
        return recipient in self._hearers.get(incident_id, ())
