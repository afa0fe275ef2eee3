"""Gather incidents with one cause under one of them, and hold what they tell together.

Nothing is dropped: what is held back is a row with a later moment, whatever happens to
the incident that speaks for it. `told_from` is where that moment is decided.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from argos.core.cause import (
    LONGEST_HOLD,
    Cause,
    Leader,
    Leaders,
    Newcomer,
    Traits,
    find_leader,
    hold_interval,
    traits_of,
)
from argos.core.schedule import LEASE_MARGIN
from argos.schemas import Config
from argos.server.database import Session
from argos.server.queries import (
    gathering as queries,
    held,
    incidents as incident_queries,
)
from argos.server.queries.gathering import OpenLeader, SpeakerState
from argos.server.queries.incidents import NewIncident
from argos.server.services.change import Change
from argos.server.services.held import BY_SPEAKER


@dataclass(frozen=True, slots=True)
class Place:
    """Where an incident stands: under which one, why, and until when it is held."""

    incident_id: int
    held_until: datetime | None = None
    held_for: int | None = None
    """The incident that it is held to be told with; who never heard of that need not
    wait. None: everybody waits."""
    is_silent: bool = False
    """Who heard of the one that speaks for it need not hear of this one, too."""


@dataclass(slots=True)
class _Find:
    """A new incident, before it has an id."""

    change: Change
    new: Newcomer
    traits: Traits
    """What it is known by: its own, or those of the matter that it is a part of."""
    parent: int | None = None
    """An incident's id; below 0: the new one at that place of the batch."""
    cause: Cause | None = None
    held_until: datetime | None = None
    is_silent: bool = False
    speaker: SpeakerState | None = None
    """How the incident stands that it is gathered under, if that one is not new."""
    is_acknowledged: bool = False
    """Somebody takes care of all that it is gathered with."""


@dataclass(slots=True)
class Gathering:
    """New incidents on their way to their places."""

    session: Session
    config: Config
    now: datetime
    _finds: list[_Find] = field(default_factory=list)
    _leaders: Leaders = field(default_factory=Leaders)
    _open: dict[int, OpenLeader] = field(default_factory=dict)
    """By the incident that speaks."""
    _stale: dict[frozenset[str], datetime | None] = field(default_factory=dict)
    """By what an incident depends on: since when some of it was not looked at."""

    def open(self, changes: Sequence[Change]) -> dict[int, Place]:
        """Open incidents; return their places by task."""
        if not changes:
            return {}
        newcomers = [self._newcomer(change) for change in changes]
        self._finds = [
            _Find(change, new, new.traits)
            for change, new in zip(changes, newcomers, strict=True)
        ]
        self._load()
        for place, find in enumerate(self._finds):
            self._decide(place, find)
        ids = self._store()
        self._adopt(ids)
        return {
            find.change.task.id: Place(
                ids[find.change.task.id],
                find.held_until,
                find.parent if find.speaker else None,
                is_silent=find.is_silent,
            )
            for find in self._finds
        }

    def _newcomer(self, change: Change) -> Newcomer:
        task = change.task
        return Newcomer(
            traits=traits_of(
                json.loads(change.facts or "{}"),
                url=task.url,
                website=task.domain,
                agent=change.agent,
            ),
            began_at=_began_at(change),
            period=timedelta(minutes=task.frequency),
            depends_on=self.config.dependencies.get(task.domain, frozenset()),
        )

    def _load(self) -> None:
        websites = {find.change.task.domain for find in self._finds}
        websites = websites.union(*(find.new.depends_on for find in self._finds))
        found = queries.list_leaders(
            self.session,
            since=min(find.new.earliest for find in self._finds),
            websites=websites,
            traits=[find.new.traits for find in self._finds],
        )
        self._leaders = Leaders(each.leader for each in found)
        self._open = {each.leader.id: each for each in found}

    def _decide(self, place: int, find: _Find) -> None:
        found = find_leader(find.new, self._leaders)
        if found is None:
            leader = Leader(-1 - place, find.new.traits, find.new.began_at)
            self._leaders.add(leader)
            if find.new.depends_on and self._is_to_wait(find.new):
                # What it depends on is looked at first: it may be the cause.
                find.held_until = self.now + self.config.general.timeout + LEASE_MARGIN
            return
        leader, find.cause = found
        find.parent = leader.id
        if not leader.is_itself:
            # It is a part of that matter: it goes by the same name.
            find.traits = replace(leader.traits, website=find.traits.website)
        self._leaders.add(Leader(leader.id, find.traits, find.new.began_at, find.cause))
        if leader.id in self._open:
            self._join(find, self._open[leader.id])
        else:
            find.is_silent = find.cause is Cause.DEPENDENCY

    def _join(self, find: _Find, open_: OpenLeader) -> None:
        """Go with what people know, or are about to hear."""
        speaker = find.speaker = open_.speaker
        until = told_from(open_.told_at, period=find.new.period, now=self.now)
        is_guess = find.cause is Cause.AGENT
        find.is_acknowledged = not is_guess and speaker.is_acknowledged(self.now)
        find.is_silent = (
            find.cause is Cause.DEPENDENCY
            or find.is_acknowledged
            or (until is None and not is_guess)
        )
        severity = find.change.incident_severity
        if severity.urgency <= speaker.severity.urgency:
            # What is worse than people know waits for nothing.
            find.held_until = until

    def _is_to_wait(self, new: Newcomer) -> bool:
        if new.depends_on not in self._stale:
            self._stale[new.depends_on] = self._look_at(new.depends_on)
        looked_at = self._stale[new.depends_on]
        return looked_at is not None and looked_at < new.began_at

    def _look_at(self, websites: frozenset[str]) -> datetime | None:
        """Have looked at what was not since the last of those that depend on it began."""
        since = max(
            find.new.began_at for find in self._finds if find.new.depends_on == websites
        )
        stale = queries.lock_stale(self.session, websites=websites, since=since)
        idle = [group.id for group in stale if not group.is_leased]
        queries.make_due(self.session, ids=idle, now=self.now)
        return min((group.looked_at for group in stale), default=None)

    def _store(self) -> dict[int, int]:
        first = [find for find in self._finds if (find.parent or 0) >= 0]
        ids = incident_queries.add_incidents(
            self.session, incidents=[_row(find, find.parent) for find in first]
        )
        later = [find for find in self._finds if (find.parent or 0) < 0]
        ids |= incident_queries.add_incidents(
            self.session,
            incidents=[
                _row(find, ids[self._finds[-1 - (find.parent or 0)].change.task.id])
                for find in later
            ],
        )
        return ids

    def _adopt(self, ids: Mapping[int, int]) -> None:
        """Gather those that depend on a website under its new incident."""
        new = set(ids.values())
        for find in self._finds:
            dependents = self.config.dependents.get(find.change.task.domain)
            if find.parent is not None or not dependents:
                continue
            own = ids[find.change.task.id]
            theirs = queries.list_leading(
                self.session, since=find.new.earliest, websites=dependents
            )
            theirs = [id_ for id_ in theirs if id_ not in new]
            if theirs:
                queries.adopt(
                    self.session, parent_id=own, ids=theirs, cause=Cause.DEPENDENCY
                )
                held.silence_unsent(
                    self.session, speaker_id=own, label=BY_SPEAKER, now=self.now
                )


def told_from(
    leader_told_at: datetime | None, *, period: timedelta, now: datetime
) -> datetime | None:
    """From when on a gathered incident may be told; None: at once.

    All that began together notice it within a period: then one message has them all.
    Who comes later, or together with its leader, is told with what is told then.
    """
    if leader_told_at is None:
        return None
    # A leader that was told later than now was told before a clock was set back.
    until = min(leader_told_at, now) + hold_interval(period)
    return until if until > now else None


def hold_recoveries(
    session: Session, *, closed: Sequence[tuple[int, Change]], now: datetime
) -> dict[int, datetime]:
    """By incident: until when its recovery waits for those of the others.

    With the last of them all that was held goes out.
    """
    leaders = queries.list_leader_ids(session, ids=[id_ for id_, _ in closed])
    extents = queries.list_extents(session, leader_ids=set(leaders.values()))
    gathered = {id_ for id_, extent in extents.items() if extent.is_gathering}
    over = {id_ for id_ in gathered if extents[id_].is_over}
    queries.release(session, leader_ids=over, now=now)
    pending = gathered - over
    held = queries.list_held_recoveries(
        session, leader_ids=pending, new=len(closed), now=now
    )
    until = {}
    latest = now + hold_interval(LONGEST_HOLD)
    for id_, change in closed:
        if leaders[id_] in pending:
            own = now + hold_interval(timedelta(minutes=change.task.frequency))
            # Later is none but one that is held since before a clock was set back.
            until[id_] = min(held.setdefault(leaders[id_], own), latest)
    return until


def _began_at(change: Change) -> datetime:
    # A state taken over from 0.10.3 can close an incident that was never stored.
    since = change.move.failing_since or change.task.failing_since
    return since or change.move.completed_at


def _row(find: _Find, parent_id: int | None) -> NewIncident:
    change, traits = find.change, find.traits
    known = find.speaker if find.is_acknowledged else None
    return NewIncident(
        task_id=change.task.id,
        opened_at=find.new.began_at,
        severity=change.incident_severity,
        parent_id=parent_id,
        cause=find.cause and find.cause.value,
        certificate=traits.certificate,
        address=traits.address,
        agent=traits.agent,
        acknowledged_by=known and known.acknowledged_by,
        acknowledged_at=known and known.acknowledged_at,
        acknowledged_until=known and known.acknowledged_until,
    )
