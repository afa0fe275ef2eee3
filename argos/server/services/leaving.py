"""Tasks that leave the config while people know of a problem: the problem is over for them.

Nobody watches it any more, so that no recovery would ever come.
"""

from collections.abc import Collection
from datetime import datetime

from argos.core.incident import Reason, end_unseen
from argos.core.severity import Severity
from argos.schemas import Config
from argos.server.database import Session
from argos.server.queries import results, states
from argos.server.services.change import change_without_result
from argos.server.services.notice import WATCHED_NO_LONGER
from argos.server.services.publish import publish


def tell_leaving(
    session: Session, task_ids: Collection[int], *, config: Config, now: datetime
) -> None:
    """End the incidents of tasks that are about to be archived, and tell who knows."""
    rows = results.lock_tasks(session, ids=sorted(task_ids))
    changes = []
    for row in rows.values():
        if row.told_severity is Severity.OK or row.completed_at is None:
            continue
        step = end_unseen(states.read_state(row), Reason.REMOVED)
        facts = {WATCHED_NO_LONGER: row.location or True}
        change = change_without_result(row, step, row.severity, facts=facts)
        results.move_tasks(session, moves=[change.move])
        changes.append(change.at(now, severity=Severity.OK))
    publish(session, changes=changes, config=config, now=now)
