"""Checks that are watched from several locations: who sees a problem, and who asks."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from argos.core.incident import Reason, Step
from argos.core.quorum import SEEN_FROM, Ballot, weigh
from argos.server.database import Session
from argos.server.queries import views as queries
from argos.server.queries.results import TaskRow
from argos.server.services.presence import read_watched_since


@dataclass(slots=True)
class Votes:
    """What the other locations see of some tasks, and what is made of it."""

    ballots: dict[int, Ballot] = field(default_factory=dict)
    """By task, of those that are voted on."""
    _begun: set[bytes] = field(default_factory=set)
    """The checks of which one location begins to see a problem."""
    _over: set[bytes] = field(default_factory=set)
    """Those of which too few see one that was told."""
    _own: list[int] = field(default_factory=list)

    def note(self, task: TaskRow, step: Step) -> None:
        """Remember who else is to look at once, after one location has."""
        ballot, retries = self.ballots.get(task.id), task.retry_before_notification
        if ballot is None or task.watch_key is None:
            return
        self._own.append(task.id)
        begins = step.state.contiguous_failures == retries + 1
        ends = ballot.is_told and not ballot.is_enough_without_own
        if step.reason is Reason.TOO_FEW and begins:
            self._begun.add(task.watch_key)
        elif step.reason is Reason.SOFT_RECOVERY and ends:
            self._over.add(task.watch_key)

    def ask_others(self, session: Session, *, now: datetime) -> None:
        """Let the others look at once: at what begins all, at what ends who told it."""
        for keys, is_told in ((self._begun, False), (self._over, True)):
            if keys:
                queries.look_elsewhere(
                    session, keys=keys, is_told=is_told, but=self._own, now=now
                )

    def with_witnesses(self, facts: str, task: TaskRow) -> str:
        """The facts of a problem, with all locations that see it."""
        ballot = self.ballots.get(task.id)
        if ballot is None or task.location is None:
            return facts
        places = sorted({task.location, *ballot.failing})
        return json.dumps({**json.loads(facts), SEEN_FROM: places})


def is_voted_on(task: TaskRow) -> bool:
    """Whether more than one location must see a problem of a task."""
    return task.watch_key is not None and (task.quorum or 1) > 1


def count_votes(
    session: Session, *, tasks: Collection[TaskRow], now: datetime
) -> Votes:
    """What the other locations see; the checks are locked against other counts."""
    asked = [
        (task, task.watch_key)
        for task in tasks
        if is_voted_on(task) and task.watch_key is not None
    ]
    if not asked:
        return Votes()
    keys = {key for _, key in asked}
    queries.lock_quorums(session, keys=keys)
    found = queries.list_views(
        session,
        keys=keys,
        now=now,
        watched_since=read_watched_since(session, now=now),
    )
    return Votes({
        task.id: weigh(
            [each.view for each in found[key] if each.task_id != task.id],
            quorum=task.quorum or 1,
        )
        for task, key in asked
    })
