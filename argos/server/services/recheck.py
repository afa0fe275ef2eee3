"""Running tasks sooner than planned, because somebody asked for it."""

import logging

from argos.clock import Clock
from argos.server.database import Database
from argos.server.queries import recheck

log = logging.getLogger(__name__)


def recheck_not_ok(database: Database, clock: Clock) -> int:
    """Make everything that is not ok due now; the number of task groups."""
    now = clock.utcnow()
    with database.transaction() as session:
        groups = recheck.recheck_not_ok(session, now=now)
    log.info("%d task groups that are not ok are due now, on request", groups)
    return groups


def recheck_website(database: Database, clock: Clock, *, host: str) -> int:
    """Make all checks of a website due now; the number of task groups."""
    now = clock.utcnow()
    with database.transaction() as session:
        return recheck.recheck_host(session, host=host, now=now)


def recheck_task(database: Database, clock: Clock, *, task_id: int) -> int:
    """Make a task, and those that share its probe, due now."""
    now = clock.utcnow()
    with database.transaction() as session:
        return recheck.recheck_tasks(session, task_ids=[task_id], now=now)
