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


@dataclass(slots=True)
class Votes:
    """What the other locations see of some tasks, and what is made of it."""

    ballots: dict[int, Ballot] = field(default_factory=dict)
    """By task, of those that are voted on."""
    _news: list[TaskRow] = field(default_factory=list)

    def note(self, task: TaskRow, step: Step) -> None:
        """Remember whether the others are to look at what one location begins to see."""
        begins = step.state.contiguous_failures == task.retry_before_notification + 1
        if step.reason is Reason.TOO_FEW and begins:
            self._news.append(task)

    def ask_others(self, session: Session, *, now: datetime) -> None:
        """Let the other locations look at once."""
        keys = {task.watch_key for task in self._news if task.watch_key is not None}
        if keys:
            own = [task.id for task in self._news]
            queries.look_elsewhere(session, keys=keys, but=own, now=now)

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
    found = queries.list_views(session, keys=keys, now=now)
    return Votes({
        task.id: weigh(
            [each.view for each in found[key] if each.task_id != task.id],
            quorum=task.quorum or 1,
        )
        for task, key in asked
    })
